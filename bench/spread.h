/* bench/spread.h - how evenly open connections lie on the workers: the descriptors that each has more than before. */
#ifndef BENCH_SPREAD_H
#define BENCH_SPREAD_H

#include "bench/tree.h"

struct spread {
	const struct tree *tree; /* borrowed */
	int before[TREE_MAX];
};

/* 0 or a negative error. */
int spread_begin(struct spread *spread, const struct tree *tree);

/* Most by fewest since the beginning, the root left out: it is the primary. Infinite when a worker has none. */
int spread_end(const struct spread *spread, double *ratio);

#endif
