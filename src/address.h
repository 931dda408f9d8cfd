/* src/address.h - struct muster_address to and from the kernel's sockaddr. */
#ifndef SRC_ADDRESS_H
#define SRC_ADDRESS_H

#include <muster/address.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Large enough for each family we speak, and small beside sockaddr_storage's alignment games. */
struct muster__sockaddr {
	union {
		struct sockaddr any;
		struct sockaddr_storage storage;
		struct sockaddr_un un;
	};
	socklen_t length;
};

#define MUSTER__FAMILY_UNIX 1

/* An IP literal and a port. -EINVAL if `text` is no literal. */
int muster__sockaddr_ip(struct muster__sockaddr *out, const char *text, unsigned port);

/* A path, or an abstract name written with a leading '@' or NUL. -EINVAL if empty, -ENAMETOOLONG. */
int muster__sockaddr_path(struct muster__sockaddr *out, const char *path);

/* What muster__address_from made its text of. -EINVAL for no address, -ENAMETOOLONG. */
int muster__sockaddr_of(struct muster__sockaddr *out, const struct muster_address *address);

void muster__address_from(struct muster_address *out, const struct sockaddr *address, socklen_t length);

/* Of a socket's own end, or its peer's. 0 or -errno. */
int muster__address_local(struct muster_address *out, int fd);
int muster__address_remote(struct muster_address *out, int fd);

/* An address for an error about a place that never became a socket: a host or a path as the user wrote it. */
void muster__address_named(struct muster_address *out, int family, const char *text, unsigned port);

#endif
