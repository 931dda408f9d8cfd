/* src/encoding.h - bytes to text and back: Node's StringDecoder and Buffer.from(string, encoding). */
#ifndef SRC_ENCODING_H
#define SRC_ENCODING_H

#include <muster/encoding.h>
#include <stddef.h>

struct muster__decoder;

/* new StringDecoder(encoding). NULL with errno set: EINVAL (bytes need no decoder, or no such encoding), ENOMEM. */
struct muster__decoder *muster__decoder_new(enum muster_encoding encoding);

/* NULL is fine. */
void muster__decoder_free(struct muster__decoder *decoder);

/*
 * decoder.write(bytes): the next bytes of a stream, cut anywhere. The text is UTF-8 in whole characters; what an
 * unfinished one has so far waits for its rest. It may be empty, may hold NULs and has none at its end. It is borrowed:
 * the decoder uses its memory again at the next call, and frees it with itself.
 *
 * What is no character becomes U+FFFD as in Node: in UTF-8 one for each maximal subpart, in UTF-16 one for each
 * surrogate alone (Node keeps those in its strings, and writes U+FFFD when they become UTF-8). The whole text does not
 * depend on the cuts. -ENOMEM: nothing was taken.
 */
int muster__decode(struct muster__decoder *decoder, const void *bytes, size_t length, char **text, size_t *text_length);

/*
 * decoder.end(): no more bytes. The text, borrowed as above, is U+FFFD for a character that remained unfinished, or the
 * last group of base64; half a unit of UTF-16 is dropped. The decoder may begin anew. -ENOMEM: nothing has changed.
 */
int muster__decode_end(struct muster__decoder *decoder, char **text, size_t *text_length);

/* buffer.toString(encoding) of what is whole: new text, with a NUL behind it; NULL: no memory, or no such encoding. */
char *muster__text_of(enum muster_encoding encoding, const void *bytes, size_t length, size_t *text_length);

/*
 * Buffer.from(text, encoding). `bytes` is new: free() it, even if *out_length is 0. The text is UTF-8; what in it is
 * none counts as U+FFFD, except that to UTF-8 and to bytes it is copied as it is.
 *
 * latin1, ascii: the low byte of each UTF-16 unit. hex: up to the first pair that is none; half a pair is dropped.
 * base64, base64url: either alphabet, up to the first '='; what is in neither is skipped, a last 6 bits are dropped.
 * Errors: -EINVAL (no such encoding), -ENOMEM; `bytes` and `out_length` are untouched then.
 */
int muster__encode(enum muster_encoding encoding, const char *text, size_t length, void **bytes, size_t *out_length);

#endif
