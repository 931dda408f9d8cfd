/* In the worker nothing is asserted: what goes wrong there is told, or ends it with a status that is not 0. */
#include "tests/support/workers.h"

#include "src/loop.h"
#include "tests/support/client.h"
#include "tests/support/loop.h"
#include "tests/support/suite.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- In the primary. */

static void note(struct worker_counts *counts, const struct muster_worker *worker, const char *event)
{
	size_t used = strlen(counts->order);

	snprintf(counts->order + used, sizeof counts->order - used, "%s%s%u", used > 0 ? " " : "", event,
		 worker != NULL ? muster_worker_id(worker) : 0);
}

#define COUNT(event)                                                                                                   \
	do {                                                                                                           \
		counts->event++;                                                                                       \
		note(counts, worker, #event);                                                                          \
	} while (0)

static void on_fork(struct muster_worker *worker, void *data)
{
	struct worker_counts *counts = data;

	COUNT(fork);
}

static void on_online(struct muster_worker *worker, void *data)
{
	struct worker_counts *counts = data;

	COUNT(online);
}

static void on_listening(struct muster_worker *worker, const struct muster_address *address, void *data)
{
	struct worker_counts *counts = data;

	counts->address = *address;
	COUNT(listening);
}

/* Messages are many, and their order among the other events is not fixed: they are not in `order`. */
static void on_message(struct muster_worker *worker, struct muster_message *message, void *data)
{
	struct worker_counts *counts = data;
	size_t used = strlen(counts->said);
	char *text = json_dumps(message->json, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);

	(void)worker;
	snprintf(counts->said + used, sizeof counts->said - used, "%s ", text != NULL ? text : "?");
	counts->errors_of_worker += text != NULL && strncmp(text, "\"error ", 7) == 0;
	free(text);
	if (counts->keep_fd && message->handle_type != MUSTER_HANDLE_NONE)
		counts->fd = muster_message_take_fd(message);
	counts->message++;
}

static void on_disconnect(struct muster_worker *worker, void *data)
{
	struct worker_counts *counts = data;

	COUNT(disconnect);
}

static void on_exit_of(struct muster_worker *worker, int code, int signal, void *data)
{
	struct worker_counts *counts = data;

	counts->code = code;
	counts->signal = signal;
	counts->willing = muster_worker_exited_after_disconnect(worker);
	counts->bad_exits += code != 0 || signal != 0;
	COUNT(exit);
}

static void on_error(struct muster_worker *worker, const struct muster_error *error, void *data)
{
	struct worker_counts *counts = data;

	counts->last_error = *error;
	COUNT(error);
}

static void on_close(struct muster_cluster *cluster, void *data)
{
	struct worker_counts *counts = data;
	const struct muster_worker *worker = NULL;

	(void)cluster;
	COUNT(close);
}

static void on_cluster_drop(struct muster_cluster *cluster, const struct muster_address *local,
			    const struct muster_address *remote, void *data)
{
	struct worker_counts *counts = data;

	(void)cluster;
	counts->drop_local = *local;
	counts->drop_remote = *remote;
	counts->drop++;
}

/* Not in `order`: it comes a turn later, beside other things. */
static void on_ready(struct muster_worker *worker, void *data)
{
	struct worker_counts *counts = data;

	(void)worker;
	counts->ready++;
}

const struct muster_worker_handlers counting_workers = {
	.on_fork = on_fork,
	.on_online = on_online,
	.on_listening = on_listening,
	.on_message = on_message,
	.on_disconnect = on_disconnect,
	.on_exit = on_exit_of,
	.on_error = on_error,
	.on_close = on_close,
	.on_drop = on_cluster_drop,
	.on_ready = on_ready,
};

struct muster_cluster *new_cluster(const struct muster_cluster_options *options, struct service *service,
				   struct worker_counts *counts)
{
	struct muster_cluster_options mine = options != NULL ? *options : (struct muster_cluster_options){ 0 };
	struct muster_cluster *cluster;

	if (mine.worker == NULL)
		mine.worker = serve;
	if (mine.data == NULL)
		mine.data = service;
	cluster = muster_cluster_new(test_loop, &mine);
	ck_assert_ptr_nonnull(cluster);
	ck_assert_int_eq(muster_cluster_on(cluster, &counting_workers, counts), 0);
	return cluster;
}

struct muster_cluster *serving_cluster(const struct muster_cluster_options *options, struct service *service,
				       unsigned workers, struct worker_counts *counts)
{
	struct muster_cluster *cluster = new_cluster(options, service, counts);

	unsigned i;

	for (i = 1; i <= workers; i++) {
		ck_assert_int_eq(muster_cluster_fork(cluster, NULL, NULL), 0);
		run_until_count(test_loop, counts->listening, i);
	}
	return cluster;
}

struct muster_worker *worker_by_id(struct muster_cluster *cluster, unsigned id)
{
	struct muster_worker *worker = muster_cluster_next(cluster, NULL);

	while (worker != NULL && muster_worker_id(worker) != id)
		worker = muster_cluster_next(cluster, worker);
	ck_assert_ptr_nonnull(worker);
	return worker;
}

void close_cluster(struct muster_cluster *cluster, struct worker_counts *counts)
{
	unsigned bad = counts->bad_exits;

	ck_assert_int_eq(muster_cluster_close(cluster), 0);
	run_dry(test_loop);
	ck_assert_uint_eq(counts->close, 1);
	ck_assert_uint_eq(counts->exit, counts->fork);
	ck_assert_msg(counts->bad_exits == bad, "a worker ended with %d, signal %d", counts->code, counts->signal);
}

struct search {
	const char *text, *part;
};

static bool is_found(void *data)
{
	const struct search *search = data;

	return strstr(search->text, search->part) != NULL;
}

void run_until_text(const char *text, const char *part)
{
	struct search search = { text, part };

	run_until_holds(test_loop, is_found, &search, part);
}

unsigned greeted_by(int client)
{
	char line[16] = "";
	size_t used = 0;

	run_until_readable(client);
	while (used < sizeof line - 1 && (used == 0 || line[used - 1] != '\n'))
		client_receive(client, line + used++, 1);
	return (unsigned)strtoul(line, NULL, 10);
}

/* ---- In the worker. */

void tell(struct muster_worker *worker, const char *format, ...)
{
	struct muster_message message = { 0 };
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	message.json = json_string(text);
	if (muster_worker_send(worker, &message) < 0 && muster_worker_is_connected(worker))
		abort();
	json_decref(message.json);
}

static const struct service *mine;

static const struct service *service_now(void)
{
	static const struct service none;

	return mine != NULL ? mine : &none;
}

static void report(const char *event)
{
	if (!service_now()->quiet)
		tell(muster_worker_self(), "%s", event);
}

static void on_data(struct muster_socket *socket, const void *bytes, size_t length, void *data)
{
	(void)data;
	muster_socket_write(socket, bytes, length);
}

static void on_socket_close(struct muster_socket *socket, bool had_error, void *data)
{
	(void)socket, (void)had_error, (void)data;
	report("closed");
}

static void on_connection(struct muster_server *server, struct muster_socket *socket, void *data)
{
	static const struct muster_socket_handlers echo = { .on_data = on_data, .on_close = on_socket_close };
	static const struct muster_socket_handlers deaf = { .on_close = on_socket_close };
	char greeting[16];
	int length = snprintf(greeting, sizeof greeting, "%u\n", muster_worker_id(muster_worker_self()));

	(void)server, (void)data;
	muster_socket_on(socket, service_now()->deaf ? &deaf : &echo, NULL);
	if (!service_now()->deaf)
		muster_socket_write(socket, greeting, (size_t)length);
	report("connection");
}

static void on_server_drop(struct muster_server *server, const struct muster_address *local,
			   const struct muster_address *remote, void *data)
{
	(void)server, (void)local, (void)remote, (void)data;
	report("drop");
}

static void on_server_listening(struct muster_server *server, void *data)
{
	struct muster_address address = { 0 };

	(void)data;
	muster_server_address(server, &address);
	if (!service_now()->quiet)
		tell(muster_worker_self(), "listening %u", address.port);
}

static void on_server_error(struct muster_server *server, const struct muster_error *error, void *data)
{
	(void)server, (void)data;
	tell(muster_worker_self(), "error %s %s", muster_error_name(error->code), error->call);
}

static int serve_once(struct muster_worker *self, const struct service *service)
{
	static const struct muster_server_handlers on = { .on_listening = on_server_listening,
							  .on_connection = on_connection,
							  .on_drop = on_server_drop,
							  .on_error = on_server_error };
	struct muster_server *server = muster_server_new(muster_worker_loop(self), &service->server);
	struct muster_listen_options listen = service->listen;
	int err;

	if (server == NULL || muster_server_on(server, &on, NULL) < 0)
		return -ENOMEM;
	if (listen.host == NULL && listen.path == NULL)
		listen.host = "127.0.0.1";
	err = muster_server_listen(server, &listen);
	if (err == 0 && service->begin != NULL)
		service->begin(self, server);
	return err;
}

int serve(struct muster_worker *self, void *data)
{
	unsigned left;
	int err = 0;

	mine = data;
	for (left = service_now()->servers; err == 0 && left > 1; left--)
		err = serve_once(self, service_now());
	return err == 0 ? serve_once(self, service_now()) : err;
}

static void on_idle_message(struct muster_worker *self, struct muster_message *message, void *data)
{
	(void)self, (void)message, (void)data;
}

int idle(struct muster_worker *self, void *data)
{
	/* Whoever listens to the channel stays as long as it does. */
	static const struct muster_worker_handlers on = { .on_message = on_idle_message };

	(void)data;
	return muster_worker_on(self, &on, NULL);
}
