/* tests/support/channels.h - handler tables that count and keep what came, for channels and children. */
#ifndef TESTS_SUPPORT_CHANNELS_H
#define TESTS_SUPPORT_CHANNELS_H

#include <muster/channel.h>
#include <muster/child.h>
#include <stdbool.h>
#include <stddef.h>

/* `data` of the tables below. Zero-initialised. */
struct channel_counts {
	unsigned message, disconnect, drain, exit;
	unsigned handles; /* messages with one */
	unsigned texts;   /* messages without json */
	int code, signal; /* of on_exit */
	char order[256];  /* "message disconnect exit": runs of one kind as one */
	char said[8192];  /* each message as JSON and a blank, as far as they fit */
	size_t length;    /* of the last message */
	enum muster_handle_type handle_type;
	bool keep_fd; /* of the last message that has one */
	int fd;
};

extern const struct muster_channel_handlers counting_channel;
extern const struct muster_child_handlers counting_child;

/* Send ready-made JSON, alone or with a descriptor: what muster_channel_send says. */
int say(struct muster_channel *channel, const char *json);
int say_with(struct muster_channel *channel, const char *json, int fd);

/* A string of so many bytes, quotes included; for free(). */
char *long_string(size_t length);

/* Each message goes back as it came, what came with it as a bare descriptor: an on_message. */
void send_back(struct muster_channel *channel, struct muster_message *message, void *data);

#endif
