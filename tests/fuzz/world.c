/* SPDX-License-Identifier: Apache-2.0 */
/* The unit tests' world without a kernel, for the engine's fuzzers too. */
#include "../unit/world.c"
