/* One list for all ingresses: which reasons an agent, or another node, has before a target sees a
 * byte. */
#include "ingress/refusal.h"

#include "base/err.h"

bool refusal_is_certain(int why)
{
	switch (why) {
	case ERR_REFUSED:
	case ERR_RESOLVE:
	case ERR_NOTFOUND: /* no such tunnel, or service */
	case ERR_DENIED:
	case ERR_LIMIT:
	case ERR_NOFILE:
	case ERR_TARGET:
	case ERR_DRAIN:
	case ERR_NOSESSION: return true; /* another node, to which it was passed on, has none */
	default: return false;
	}
}

bool refusal_is_clean(int why)
{
	switch (why) {
	case ERR_TIMEOUT:
	case ERR_UNREACH:
	case ERR_TLS:
	case ERR_CERT: return true;
	default: return refusal_is_certain(why);
	}
}
