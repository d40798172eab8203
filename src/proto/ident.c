/* Server, agent and command line judge the same names, so they ask the same function. */
#include "proto/ident.h"

bool ident_ok(struct str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = ascii_lower(name.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' &&
		    c != '-')
			return false;
	}
	return name.len > 0 && name.len < IDENT_TEXT;
}
