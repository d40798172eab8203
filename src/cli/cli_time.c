/* "2026-11-21T03:00:00.000Z" answers no question that a person has: "3 min ago" does. */
#include "cli/cli_time.h"

#include "base/err.h"
#include "base/num.h"
#include "proto/time_text.h"

#define MINUTE ((int64_t)60 * 1000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

void cli_time_tell(int64_t ms, int64_t now_ms, char out[CLI_TIME_TELL])
{
	static const struct {
		int64_t below, unit;
		const char *one, *many;
	} steps[] = {
		{HOUR, MINUTE, "min", "min"},
		{DAY, HOUR, "h", "h"},
		{60 * DAY, DAY, "day", "days"},
	};
	int64_t away = ms < now_ms ? now_ms - ms : ms - now_ms;
	char date[TIME_TEXT];

	if (away < MINUTE) {
		str_printf(out, CLI_TIME_TELL, "%s", ms <= now_ms ? "just now" : "in a moment");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		/* "30d" is still "in 30 days" a second later */
		long long n = (away + (ms > now_ms ? steps[i].unit / 2 : 0)) / steps[i].unit;

		if (away >= steps[i].below)
			continue;
		str_printf(out, CLI_TIME_TELL, "%s%lld %s%s", ms > now_ms ? "in " : "", n,
			   n == 1 ? steps[i].one : steps[i].many, ms > now_ms ? "" : " ago");
		return;
	}
	time_text_format(ms, date);
	str_printf(out, CLI_TIME_TELL, "%.10s", date);
}

int cli_time_span(struct str s, int64_t *ms)
{
	static const struct {
		char letter;
		int64_t ms;
	} units[] = {{'m', MINUTE}, {'h', HOUR}, {'d', DAY}, {'w', 7 * DAY}, {'y', 365 * DAY}};
	uint64_t n;

	for (size_t i = 0; i < ARRAY_LEN(units) && s.len > 1; i++) {
		if (units[i].letter != s.p[s.len - 1])
			continue;
		if (num_parse((struct str){s.p, s.len - 1},
			      (uint64_t)(CLI_TIME_SPAN_MAX / units[i].ms), &n) != 0 ||
		    n == 0)
			return ERR_INVAL;
		*ms = (int64_t)n * units[i].ms;
		return 0;
	}
	return ERR_INVAL;
}

int cli_time_until(struct str s, int64_t now_ms, int64_t *ms)
{
	char end_of_day[TIME_TEXT];

	if (cli_time_span(s, ms) == 0) {
		*ms += now_ms;
		return 0;
	}
	if (s.len == 10) {
		str_printf(end_of_day, sizeof end_of_day, STR_FMT "T23:59:59.999Z", STR_ARG(s));
		s = str_of(end_of_day);
	}
	return time_text_parse(s, ms) != 0 || *ms <= now_ms ? ERR_INVAL : 0;
}
