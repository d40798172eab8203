/* Three shapes of one date, read by patterns: what a letter of a pattern stands for is one row. */
#include "proto/http_date.h"

#include <string.h>
#include <time.h>

#include "base/err.h"

static const char http_date_days[][10] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
					  "Thursday", "Friday", "Saturday"};
static const char http_date_months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void http_date_format(int64_t s, char out[HTTP_DATE_TEXT])
{
	time_t at = (time_t)MIN(MAX(s, 0), HTTP_DATE_MAX);
	struct tm tm;

	CHECK(gmtime_r(&at, &tm) != NULL);
	str_printf(out, HTTP_DATE_TEXT, "%.3s, %02d %s %04d %02d:%02d:%02d GMT",
		   http_date_days[tm.tm_wday], tm.tm_mday, http_date_months[tm.tm_mon],
		   tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* What has been read. */
struct http_date {
	int year, month, day, hour, minute, second; /* month from 0 */
};

static bool http_date_take(struct str *s, struct str text)
{
	if (!str_starts(*s, text))
		return false;
	*s = (struct str){s->p + text.len, s->len - text.len};
	return true;
}

/* n digits; the first of them may be a space if `padded`. */
static bool http_date_number(struct str *s, int n, bool padded, int *out)
{
	*out = 0;
	for (int i = 0; i < n; i++) {
		char c = s->len > 0 ? s->p[0] : '\0';

		if (i == 0 && padded && c == ' ')
			c = '0';
		if (c < '0' || c > '9')
			return false;
		*out = *out * 10 + (c - '0');
		*s = (struct str){s->p + 1, s->len - 1};
	}
	return true;
}

/* len: letters of the name that count; 0: all. */
static bool http_date_day(struct str *s, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(http_date_days); i++) {
		struct str name = str_of(http_date_days[i]);

		if (len != 0)
			name.len = len;
		if (http_date_take(s, name))
			return true;
	}
	return false;
}

static bool http_date_month(struct str *s, int *out)
{
	for (*out = 0; *out < (int)ARRAY_LEN(http_date_months); ++*out)
		if (http_date_take(s, str_of(http_date_months[*out])))
			return true;
	return false;
}

/*
 * a, A: the day's name, short and long; D, d: the day of the month, d perhaps with a space in
 * front; m: the month's name; y, Y: the year, of 2 and 4 digits; T: the time. All else is itself.
 */
static bool http_date_match(const char *pattern, struct str s, struct http_date *d)
{
	for (; *pattern != '\0'; pattern++) {
		bool ok;

		switch (*pattern) {
		case 'a': ok = http_date_day(&s, 3); break;
		case 'A': ok = http_date_day(&s, 0); break;
		case 'D': ok = http_date_number(&s, 2, false, &d->day); break;
		case 'd': ok = http_date_number(&s, 2, true, &d->day); break;
		case 'm': ok = http_date_month(&s, &d->month); break;
		case 'y': ok = http_date_number(&s, 2, false, &d->year); break;
		case 'Y': ok = http_date_number(&s, 4, false, &d->year); break;
		case 'T':
			ok = http_date_number(&s, 2, false, &d->hour) &&
			     http_date_take(&s, STR(":")) &&
			     http_date_number(&s, 2, false, &d->minute) &&
			     http_date_take(&s, STR(":")) &&
			     http_date_number(&s, 2, false, &d->second);
			break;
		case 'Z': ok = http_date_take(&s, STR("GMT")); break;
		default: ok = http_date_take(&s, (struct str){pattern, 1}); break;
		}
		if (!ok)
			return false;
	}
	return s.len == 0;
}

/* Of the years that end so, the last one that is not more than 50 years ahead. */
static int http_date_century(int year, int64_t now_s)
{
	time_t now = (time_t)MIN(MAX(now_s, 0), HTTP_DATE_MAX);
	struct tm tm;
	int last;

	CHECK(gmtime_r(&now, &tm) != NULL);
	last = tm.tm_year + 1900 + 50;
	year += last / 100 * 100;
	return year > last ? year - 100 : year;
}

int http_date_parse(struct str text, int64_t now_s, int64_t *s)
{
	struct http_date d = {0};
	struct tm tm, again;
	time_t at;

	if (http_date_match("A, D-m-y T Z", text, &d))
		d.year = http_date_century(d.year, now_s);
	else if (!http_date_match("a, D m Y T Z", text, &d) &&
		 !http_date_match("a m d T Y", text, &d))
		return ERR_INVAL;
	if (d.hour > 23 || d.minute > 59 || d.second > 60 || d.day < 1)
		return ERR_INVAL;
	tm = (struct tm){.tm_year = d.year - 1900, .tm_mon = d.month, .tm_mday = d.day};
	at = timegm(&tm);
	if (gmtime_r(&at, &again) == NULL || again.tm_mday != d.day)
		return ERR_INVAL; /* the 30th of February is one of March to timegm() */
	*s = (int64_t)at + (d.hour * 60 + d.minute) * 60 + d.second;
	return 0;
}
