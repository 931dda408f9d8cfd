/* A header of the PROXY protocol, whatever it is: only its own bytes are read, in pieces as at once, and the payload is left. */
#include "src/proxy_protocol.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static int parse(struct muster__proxy *proxy, const uint8_t *bytes, size_t length)
{
	/* A copy of its own, so that a byte too many is seen. */
	uint8_t *copy = malloc(length + (length == 0));
	int err;

	memcpy(copy, bytes, length);
	err = muster__proxy_parse(proxy, copy, length);
	free(copy);
	return err;
}

/* What was read of two ends can be written, and is read again. */
static void write_again(const struct muster__proxy *proxy, unsigned version)
{
	char out[MUSTER__PROXY_WRITTEN_MAX];
	size_t length = muster__proxy_write(out, version, &proxy->source, &proxy->destination);
	struct muster__proxy again;
	struct muster_address address;

	assert(length <= sizeof out && parse(&again, (const uint8_t *)out, length) == 0 && again.length == length);
	muster__address_from(&address, &proxy->source.any, proxy->source.length);
	muster__address_from(&address, &proxy->destination.any, proxy->destination.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct muster__proxy proxy, part;
	int err = parse(&proxy, bytes, length);

	if (err < 0) {
		assert(err == -EAGAIN || err == -EBADMSG);
		return 0;
	}
	assert(proxy.length <= length && proxy.length <= MUSTER__PROXY_MAX);
	assert(parse(&part, bytes, proxy.length) == 0 && part.length == proxy.length);
	for (size_t piece = 0; piece < proxy.length; piece += 1 + proxy.length / 200)
		assert(parse(&part, bytes, piece) == -EAGAIN);
	if (proxy.has_ends) {
		write_again(&proxy, 1);
		write_again(&proxy, 2);
	}
	return 0;
}
