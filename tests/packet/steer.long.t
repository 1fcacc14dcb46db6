#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/run: parallel idle early
#
# steer.t with five times as many changes of routes. STEER_COUNT, STEER_SEED: others.
export STEER_COUNT="${STEER_COUNT:-2000}" STEER_SEED="${STEER_SEED:-1}"
exec "$(dirname "$0")/steer.t"
