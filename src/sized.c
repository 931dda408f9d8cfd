/* The rule of openat2(2): zero is the old behaviour, so only a tail that is not zero is refused. */
#include "src/sized.h"

#include <errno.h>
#include <string.h>

int muster__sized_copy(void *to, size_t ours, const void *from, size_t theirs)
{
	const unsigned char *bytes = from;
	size_t at;

	memset(to, 0, ours);
	if (from == NULL)
		return 0;
	for (at = ours; at < theirs; at++)
		if (bytes[at] != 0)
			return -E2BIG;
	memcpy(to, from, theirs < ours ? theirs : ours);
	return 0;
}
