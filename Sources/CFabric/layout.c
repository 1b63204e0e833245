// SPDX-License-Identifier: Apache-2.0
// C because: it asserts what the compiler makes of the segment. A restarted job goes on with the
// library it had, and what it starts then has this one: a change of the layout needs a new magic.
#include <FabricSegment.h>

_Static_assert(sizeof(struct fabric_queue_pair) == 128, "a line to read, a line to count");
_Static_assert(sizeof(struct fabric_region) == 40, "as in images there are");
_Static_assert(offsetof(struct fabric_slot, active) == 64, "as in images there are");
_Static_assert(offsetof(struct fabric_segment, members) == 128, "as in images there are");
_Static_assert(FABRIC_QUEUE_PAIRS_AT % 64 == 0, "a cache line each");
