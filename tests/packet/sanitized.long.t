#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/run: needs=build/asan parallel
#
# What sanitized.t leaves out, as it takes a minute.
exec "$(dirname "$0")/sanitized.t" carrier
