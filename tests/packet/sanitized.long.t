#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/run: needs=build/asan parallel early idle
#
# What sanitized.t leaves out, as it takes two minutes.
exec "$(dirname "$0")/sanitized.t" daemon carrier
