/* By the name alone: what is in a file a stranger may have written. */
#include "agent/site_type.h"

struct str site_type_of(struct str name)
{
	static const struct {
		struct str extension, type;
	} rows[] = {
#define TYPE(extension, type) {{extension, sizeof extension - 1}, {type, sizeof type - 1}},
#include "agent/site_type.def"
#undef TYPE
	};
	size_t dot = name.len;

	while (dot > 0 && name.p[dot - 1] != '.' && name.p[dot - 1] != '/')
		dot--;
	if (dot > 1 && name.p[dot - 1] == '.' && name.p[dot - 2] != '/') {
		struct str end = {name.p + dot, name.len - dot};

		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			if (str_eq_nocase(end, rows[i].extension))
				return rows[i].type;
	}
	return STR("application/octet-stream");
}
