/* Names and sentences of the error table, and what errno means in its terms. */
#include "base/err.h"

#include <errno.h>

static const struct {
	int number;
	const char *name, *sentence;
} table[] = {
#define ERR(name, number, sentence) {number, #name, sentence},
#include "base/err.def"
#undef ERR
};

const char *err_text(int e)
{
	if (e == 0)
		return "no error";
	for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].number == e)
			return table[i].sentence;
	return "unknown error";
}

const char *err_name(int e)
{
	if (e == 0)
		return "OK";
	for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].number == e)
			return table[i].name;
	return "UNKNOWN";
}

int err_from_errno(int errnum)
{
	switch (errnum) {
	case EAGAIN: return ERR_AGAIN;
	case ENOMEM:
	case ENOBUFS: return ERR_NOMEM;
	case EPIPE:
	case ECONNABORTED:
	case ECONNRESET: return ERR_RESET;
	case ENOENT:
	case ECONNREFUSED: return ERR_REFUSED;
	case ETIMEDOUT: return ERR_TIMEOUT;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ENETDOWN:
	case EHOSTDOWN: return ERR_UNREACH;
	case EMFILE:
	case ENFILE: return ERR_NOFILE;
	case EACCES:
	case EPERM: return ERR_DENIED;
	case EADDRINUSE: return ERR_INUSE;
	case ENOSPC:
	case EDQUOT: return ERR_FULL;
	case EADDRNOTAVAIL:
	case EINVAL: return ERR_INVAL;
	default: return ERR_IO;
	}
}
