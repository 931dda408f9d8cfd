/* A line of the channel, whatever it is: decoding it reads nothing beyond it, and nothing that follows trusts it. */
#include "ipc/message.h"
#include "ipc/protocol.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* What the primary and the worker read out of it. */
static void read_all(const struct muster__line *line)
{
	struct muster_address address;
	struct muster__query query;
	struct muster__reply reply;
	char key[MUSTER__KEY_MAX];

	if (muster__query_decode(&query, line->json) == 0) {
		muster__query_key(&query, key);
		assert(strlen(key) < sizeof key && strpbrk(key, "\"\\\n") == NULL);
	}
	muster__reply_decode(&reply, line->json);
	muster__listening_address(&address, line->json);
	muster__online_is_muster(line->json);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	/* A copy of its own, so that a byte too many is seen. */
	char *text = malloc(length + (length == 0));
	struct muster__line line;

	memcpy(text, bytes, length);
	if (muster__line_decode(&line, text, length) == 0 && line.json != NULL)
		read_all(&line);
	muster__line_clear(&line);
	free(text);
	return 0;
}
