/* muster/encoding.h - the encodings in which text travels as bytes: those of Node's Buffer. */
#ifndef MUSTER_ENCODING_H
#define MUSTER_ENCODING_H

#ifdef __cplusplus
extern "C" {
#endif

/* In the program text is always UTF-8; this says what it is on the wire. */
enum muster_encoding {
	MUSTER_ENCODING_BYTES = 0, /* no encoding: bytes stay as they are */
	MUSTER_ENCODING_UTF8,
	MUSTER_ENCODING_UTF16LE,
	MUSTER_ENCODING_LATIN1,
	MUSTER_ENCODING_ASCII,     /* reads 7 bits of each byte; writes as latin1 does */
	MUSTER_ENCODING_HEX,       /* bytes that travel are shown as digits, and the other way round */
	MUSTER_ENCODING_BASE64,    /* likewise, padded; either alphabet is understood */
	MUSTER_ENCODING_BASE64URL, /* likewise, with '-' and '_' and without padding */
};

#ifdef __cplusplus
}
#endif
#endif
