/* master/reader.h - JSON into structs, by tables: a key is a line in one of them. */
#ifndef MASTER_READER_H
#define MASTER_READER_H

#include "master/complain.h"

#include <limits.h>
#include <stdbool.h>

#define MUSTER__COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum { MUSTER__WORKERS_MAX = 512, MUSTER__MILLISECONDS_MAX = INT_MAX };

enum muster__kind {
	MUSTER__KIND_BOOL,
	MUSTER__KIND_NUMBER,  /* min..max */
	MUSTER__KIND_WORKERS, /* min..max, or "auto" */
	MUSTER__KIND_CHOICE,  /* a word of `choices`, kept as its value */
	MUSTER__KIND_SIZE,    /* bytes, a number or text as "64M", or one of `choices`: as many as there can be */
	MUSTER__KIND_MODE,    /* octal text, kept as a number */
	MUSTER__KIND_TEXT,
	MUSTER__KIND_FILE,        /* a path, relative to the folder of the file */
	MUSTER__KIND_SOCKET,      /* the same, short enough for a UNIX address; or an abstract name */
	MUSTER__KIND_TARGET,      /* a file, or "stderr", kept as NULL */
	MUSTER__KIND_APPLICATION, /* a name, looked up when all applications are known */
	MUSTER__KIND_PROGRAM,     /* an array of strings, kept as a list that a NULL ends */
	MUSTER__KIND_VARIABLES,   /* an object of strings, kept as a list of "NAME=value" that a NULL ends */
	MUSTER__KIND_JSON,        /* an object of anything, kept as text */
	MUSTER__KIND_NETWORKS, /* an array of addresses and of networks as "10.0.0.0/8", kept as struct muster__networks */
	MUSTER__KIND_PATTERNS, /* an array of patterns of files, which are not kept */
	MUSTER__KIND_OBJECT,   /* an object whose values are kept in the same struct, from `offset` on */
	MUSTER__KIND_LIST,     /* an array of objects, kept as an array of structs */
	MUSTER__KIND_MAP,      /* an object of objects, kept as an array of structs that begin with their name */
};

struct muster__choice {
	const char *word;
	unsigned value;
};

struct muster__key {
	const char *name;
	enum muster__kind kind;
	bool required;
	bool inherits;                         /* another place has its fallback: see muster__read_inherited */
	bool shown;                            /* in a dump, also when it is 0 */
	bool (*has_meaning)(const void *base); /* whether it has one beside the others; NULL: always */
	size_t offset;                         /* where the value is kept */
	int min;                               /* of numbers */
	unsigned max;
	unsigned fallback;                    /* of numbers, choices and modes that are not given */
	const struct muster__choice *choices; /* ended by a NULL word */
	const struct muster__grammar *object; /* what an object, or each of a list or map, may say */
	size_t count, size; /* of a list or map: where the number of structs is kept; the size of each */
};

/* A value on its way into the struct of the object around it; an object on its way into its own. */
struct muster__node {
	const struct muster__json_path *at;
	struct json_t *value;
	const struct muster__key *key;
	void *base;
};

struct muster__grammar {
	const struct muster__key *keys;
	size_t count;
	/* The rules that join several keys. Each value alone has been read, or complained about. */
	void (*check)(struct muster__reader *reader, const struct muster__node *node);
};

/* What a whole file may say. */
const struct muster__grammar *muster__config_grammar(void);

/* The values of keys that may be missing. */
void muster__put_fallbacks(const struct muster__grammar *object, void *base);

/* All keys of the object, each into its place; then the rules that join them. */
void muster__read_keys(struct muster__reader *reader, const struct muster__grammar *object,
		       const struct muster__node *node);

/* Those keys of the object that inherit, when what they inherit is in their places. */
void muster__read_inherited(struct muster__reader *reader, const struct muster__grammar *object,
			    const struct muster__node *node);

void muster__free_values(const struct muster__grammar *object, void *base);

/* A new text, or NULL if there was no memory for it, into its place. */
void muster__put_text(struct muster__reader *reader, char **slot, char *text);

/* How many this process may use. */
unsigned muster__processors(void);

#endif
