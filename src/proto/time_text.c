/* The C library's calendar reads the environment and fills in what is missing; this one does not.
 */
#include "proto/time_text.h"

#include <string.h>

#include "base/err.h"

enum { TIME_DAY_S = 86400, TIME_MINUTE_MS = 60000 };

static bool time_text_is_leap(unsigned year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned time_text_month_days(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return month == 2 && time_text_is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01; in between are years that begin in March, so that a leap day is the last.
 * Source: H. Hinnant, "chrono-compatible low-level date algorithms". */
static int64_t time_text_days(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? year - 1 : year, era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* The last n digits of a number. Many times stand in one answer of the API: printf is slow. */
static void time_text_put(char *out, unsigned n, unsigned value)
{
	while (n-- > 0) {
		out[n] = (char)('0' + value % 10);
		value /= 10;
	}
}

void time_text_format(int64_t ms, char out[TIME_TEXT])
{
	int64_t clamped = MIN(MAX(ms, 0), TIME_TEXT_MAX), second = clamped / 1000;
	unsigned z = (unsigned)(second / TIME_DAY_S) + 719468, era = z / 146097;
	unsigned of_era = z - era * 146097;
	unsigned y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * y + y / 4 - y / 100);
	unsigned m = (5 * of_year + 2) / 153, day = of_year - (153 * m + 2) / 5 + 1;
	unsigned month = m < 10 ? m + 3 : m - 9, year = y + era * 400 + (month <= 2);
	unsigned s = (unsigned)(second % TIME_DAY_S);

	memcpy(out, "0000-00-00T00:00:00.000Z", TIME_TEXT);
	time_text_put(out + 0, 4, year);
	time_text_put(out + 5, 2, month);
	time_text_put(out + 8, 2, day);
	time_text_put(out + 11, 2, s / 3600);
	time_text_put(out + 14, 2, s / 60 % 60);
	time_text_put(out + 17, 2, s % 60);
	time_text_put(out + 20, 3, (unsigned)(clamped % 1000));
}

/* Take n digits off. */
static bool time_text_digits(struct str *s, unsigned n, unsigned *out)
{
	if (s->len < n)
		return false;
	*out = 0;
	for (unsigned i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return false;
		*out = *out * 10 + (unsigned)(s->p[i] - '0');
	}
	*s = (struct str){s->p + n, s->len - n};
	return true;
}

/* Take one character off: c, which is lower case if it is a letter. */
static bool time_text_sign(struct str *s, char c)
{
	if (s->len == 0 || ascii_lower(s->p[0]) != c)
		return false;
	*s = (struct str){s->p + 1, s->len - 1};
	return true;
}

static bool time_text_fraction(struct str *s, unsigned *ms)
{
	unsigned digit, scale = 100;

	*ms = 0;
	if (!time_text_sign(s, '.'))
		return true;
	if (!time_text_digits(s, 1, &digit))
		return false;
	do {
		*ms += digit * scale;
		scale /= 10;
	} while (time_text_digits(s, 1, &digit));
	return true;
}

static bool time_text_offset(struct str *s, int *minutes)
{
	bool east = time_text_sign(s, '+');
	unsigned h, m;

	*minutes = 0;
	if (!east && time_text_sign(s, 'z'))
		return true;
	if ((!east && !time_text_sign(s, '-')) || !time_text_digits(s, 2, &h) ||
	    !time_text_sign(s, ':') || !time_text_digits(s, 2, &m) || h > 23 || m > 59)
		return false;
	*minutes = (int)(h * 60 + m) * (east ? 1 : -1);
	return true;
}

int time_text_parse(struct str s, int64_t *ms)
{
	unsigned year, month, day, h, m, sec, fraction;
	int64_t at;
	int offset;

	if (!time_text_digits(&s, 4, &year) || !time_text_sign(&s, '-') ||
	    !time_text_digits(&s, 2, &month) || !time_text_sign(&s, '-') ||
	    !time_text_digits(&s, 2, &day) || !time_text_sign(&s, 't') ||
	    !time_text_digits(&s, 2, &h) || !time_text_sign(&s, ':') ||
	    !time_text_digits(&s, 2, &m) || !time_text_sign(&s, ':') ||
	    !time_text_digits(&s, 2, &sec) || !time_text_fraction(&s, &fraction) ||
	    !time_text_offset(&s, &offset) || s.len > 0)
		return ERR_INVAL;
	if (month < 1 || month > 12 || day < 1 || day > time_text_month_days(year, month) ||
	    h > 23 || m > 59 || sec > 60)
		return ERR_INVAL;
	at = ((time_text_days(year, month, day) * 24 + h) * 60 + m - offset) * TIME_MINUTE_MS +
	     (int64_t)sec * 1000 + fraction;
	if (at < 0 || at > TIME_TEXT_MAX)
		return ERR_TOOBIG;
	*ms = at;
	return 0;
}
