/* Names and sentences of the error table, and what errno means in its terms. */
#include "base/err.h"

#include <errno.h>

#define NAME_CAP 16

/* Lower case at compile time: the table writes a name once, and logs and JSON want it small. */
#define AT(s, i)   ((s)[(i) < sizeof(s) ? (i) : sizeof(s) - 1])
#define LOW(s, i)  (char)(AT(s, i) | (AT(s, i) != '\0') << 5)
#define LOW4(s, i) LOW(s, i), LOW(s, (i) + 1), LOW(s, (i) + 2), LOW(s, (i) + 3)
#define LOWER(s)                                                                             \
	{                                                                                    \
		LOW4(s, 0), LOW4(s, 4), LOW4(s, 8), LOW(s, 12), LOW(s, 13), LOW(s, 14), '\0' \
	}

#define ERR(name, number, sentence) \
	_Static_assert(sizeof(#name) <= NAME_CAP, "the name of an error is too long");
#include "base/err.def"
#undef ERR

static const struct {
	int number;
	char name[NAME_CAP];
	const char *sentence;
} table[] = {
#define ERR(name, number, sentence) {number, LOWER(#name), sentence},
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
		return "ok";
	for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].number == e)
			return table[i].name;
	return "unknown";
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
