/* bench/servers/raw_channel.h - the channel between the two sides of the hand-written server. */
#ifndef BENCH_SERVERS_RAW_CHANNEL_H
#define BENCH_SERVERS_RAW_CHANNEL_H

/* Hand-overs that one worker may have without an answer. An answer is one byte, so it must stay below 256. */
enum { RAW_WINDOW = 16, RAW_MESSAGE = 8 };

/* One descriptor in one message of RAW_MESSAGE bytes. 0 or a negative error; the sender keeps its own. */
int raw_send(int channel, int fd);

/* The descriptor, -EAGAIN when there is none, -EPIPE when the sender has gone, or another negative error. */
int raw_receive(int channel);

#endif
