/* Descriptors are counted from outside, so every server is asked the same question and none has to answer it. */
#include "bench/spread.h"

#include <math.h>

static int read_descriptors(const struct tree *tree, int *counts)
{
	for (int i = 0; i < tree->count; i++) {
		counts[i] = tree_descriptors(tree->pids[i]);
		if (counts[i] < 0)
			return counts[i];
	}
	return 0;
}

int spread_begin(struct spread *spread, const struct tree *tree)
{
	spread->tree = tree;
	return read_descriptors(tree, spread->before);
}

int spread_end(const struct spread *spread, double *ratio)
{
	int after[TREE_MAX], most = 0, fewest = 0;
	int error = read_descriptors(spread->tree, after);

	if (error != 0)
		return error;
	for (int i = 1; i < spread->tree->count; i++) {
		int gained = after[i] - spread->before[i];

		if (i == 1 || gained > most)
			most = gained;
		if (i == 1 || gained < fewest)
			fewest = gained;
	}
	*ratio = fewest > 0 ? (double)most / fewest : INFINITY;
	return 0;
}
