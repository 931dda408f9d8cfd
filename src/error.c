/* Codes to names and texts. The system's codes keep the system's words; ours have Node's names. */
#include "src/error.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static _Thread_local int last_error;

static const char *own_name(int code)
{
	switch (code) {
	case MUSTER_EALREADYLISTENING: return "ERR_SERVER_ALREADY_LISTEN";
	case MUSTER_ENOTRUNNING: return "ERR_SERVER_NOT_RUNNING";
	case MUSTER_ECLOSED: return "ERR_SOCKET_CLOSED";
	case MUSTER_EENDED: return "ERR_STREAM_WRITE_AFTER_END";
	case MUSTER_EDESTROYED: return "ERR_STREAM_DESTROYED";
	case MUSTER_ECHANNEL: return "ERR_IPC_CHANNEL_CLOSED";
	case MUSTER_EHANDLETYPE: return "ERR_INVALID_HANDLE_TYPE";
	case MUSTER_ENOTFOUND: return "ENOTFOUND";
	case MUSTER_EAIAGAIN: return "EAI_AGAIN";
	case MUSTER_EBLOCKED: return "ERR_IP_BLOCKED";
	case MUSTER_ECHILDCLOSED: return "ERR_CHILD_CLOSED_BEFORE_REPLY";
	case MUSTER_EADDRESS: return "ERR_INVALID_IP_ADDRESS";
	default: return NULL;
	}
}

/* An errno can be behind it, and negating it is defined. */
static bool is_system(int code)
{
	return code <= 0 && code > -4096;
}

const char *muster_error_name(int code)
{
	const char *name = own_name(code);

	if (name == NULL && is_system(code))
		name = code == 0 ? "OK" : strerrorname_np(-code);
	return name != NULL ? name : "UNKNOWN";
}

const char *muster_strerror(int code)
{
	const char *text = NULL;

	switch (code) {
#define XX(name, number, text)                                                                                         \
	case MUSTER_E##name: return text;
		MUSTER_ERROR_MAP(XX)
#undef XX
	default: break;
	}
	if (is_system(code))
		text = strerrordesc_np(-code);
	return text != NULL ? text : "unknown error";
}

size_t muster_error_format(const struct muster_error *error, char *text, size_t size)
{
	char address[160] = "";
	int length;

	if (error->address.family != 0) {
		address[0] = ' ';
		muster_address_format(&error->address, address + 1, sizeof address - 1);
	}
	length = snprintf(text, size, "%s%s%s%s", error->call ? error->call : "", error->call ? " " : "",
			  muster_error_name(error->code), address);
	return length < 0 ? 0 : (size_t)length;
}

int muster_last_error(void)
{
	return last_error;
}

void *muster__no_object(int code)
{
	last_error = code;
	errno = code > -4096 ? -code : ECANCELED;
	return NULL;
}
