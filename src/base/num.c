/* Strict number parsing: what is not exactly a number is refused. */
#include "base/num.h"

#include "base/err.h"

int num_parse(struct str s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;
	bool too_big = false;

	if (s.len == 0 || (s.len > 1 && s.p[0] == '0'))
		return ERR_INVAL;
	for (size_t i = 0; i < s.len; i++) {
		unsigned d = (unsigned char)s.p[i] - '0';

		if (d > 9)
			return ERR_INVAL;
		if (n > (UINT64_MAX - d) / 10)
			too_big = true;
		n = n * 10 + d;
	}
	if (too_big || n > max)
		return ERR_TOOBIG;
	*out = n;
	return 0;
}

int num_parse_hex(struct str s, uint64_t *out)
{
	uint64_t n = 0;

	if (s.len == 0)
		return ERR_INVAL;
	for (size_t i = 0; i < s.len; i++) {
		char c = ascii_lower(s.p[i]);
		unsigned d;

		if (c >= '0' && c <= '9')
			d = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			d = (unsigned)(c - 'a') + 10;
		else
			return ERR_INVAL;
		if (i == 16)
			return ERR_TOOBIG;
		n = n << 4 | d;
	}
	*out = n;
	return 0;
}

int num_parse_hex_exact(struct str s, uint64_t *out)
{
	if (s.len > 1 && s.p[0] == '0')
		return ERR_INVAL;
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'F')
			return ERR_INVAL;
	return num_parse_hex(s, out);
}

struct num_unit {
	const char *name;
	uint64_t factor;
};

/* A number followed by one of some units; each unit multiplies. */
static int num_parse_unit(struct str s, const struct num_unit *units, size_t n_units, uint64_t max,
			  uint64_t *out)
{
	size_t digits = 0;
	uint64_t n;
	int e;

	while (digits < s.len && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	if ((e = num_parse((struct str){s.p, digits}, max, &n)) != 0)
		return e;
	for (size_t i = 0; i < n_units; i++) {
		if (!str_eq_nocase((struct str){s.p + digits, s.len - digits},
				   str_of(units[i].name)))
			continue;
		if (n > max / units[i].factor)
			return ERR_TOOBIG;
		*out = n * units[i].factor;
		return 0;
	}
	return ERR_INVAL;
}

int num_parse_duration(struct str s, uint64_t *ms)
{
	static const struct num_unit units[] = {
		{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
	};

	return num_parse_unit(s, units, ARRAY_LEN(units), 100 * UINT64_C(86400000), ms);
}

int num_parse_size(struct str s, uint64_t *bytes)
{
	static const struct num_unit units[] = {
		{"", 1},	  {"K", 1 << 10}, {"KiB", 1 << 10}, {"M", 1 << 20},
		{"MiB", 1 << 20}, {"G", 1 << 30}, {"GiB", 1 << 30},
	};

	return num_parse_unit(s, units, ARRAY_LEN(units), UINT64_C(1) << 53, bytes);
}
