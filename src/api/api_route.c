/* The way from a path to its row of the table. */
#include "api/api_route.h"

#include "base/base64.h"
#include "base/err.h"
#include "core/manage.h"

const struct api_param api_route_params[API_QUERIES] = {
	[API_Q_LIMIT] = {"limit", API_NUMBER, 1, MANAGE_PAGE_MAX, "Items of a page, at most; 25"},
	[API_Q_CURSOR] = {"cursor", API_TEXT, 1, BASE64_TEXT(STORE_KEY_MAX),
			  "Where the page begins: as the one before told"},
	[API_Q_COUNT] = {"count", API_NUMBER, 1, MANAGE_PAGE_MAX, "The same as limit"},
	[API_Q_VERBOSE] = {"verbose", API_TEXT, 0, 8, "Without effect: always so"},
	[API_Q_REASON] = {"reason", API_TEXT, 0, 200, "A sentence that the agent prints"},
	[API_Q_NAME] = {"name", API_TEXT, 1, HOSTNAME_MAX, "The name that is wanted; else random"},
	[API_Q_TARGET] = {"target", API_TEXT, 1, RECORD_TARGET_MAX,
			  "What the agent will connect to: a hint"},
	[API_Q_DRY_RUN] = {"dry_run", API_BOOL, 0, 0, "Say what would be, change nothing"},
};

/* Does the path fit? A name in braces takes one segment that is not empty. */
static bool api_route_fits(struct str pattern, struct str path, struct str params[API_PARAMS_MAX])
{
	struct str want, got;
	size_t n = 0;

	while (str_next(&pattern, '/', &want)) {
		if (!str_next(&path, '/', &got))
			return false;
		if (str_starts(want, STR("{"))) {
			if (got.len == 0)
				return false;
			params[n++] = got;
		} else if (!str_eq(want, got)) {
			return false;
		}
	}
	return path.p == NULL;
}

static void api_route_allow(struct api_route_match *m, enum http_method method)
{
	static const char *const names[] = {
#define METHOD(name) [HTTP_##name] = #name,
#include "proto/http_method.def"
#undef METHOD
	};
	size_t n = str_of(m->allow).len;

	str_printf(m->allow + n, sizeof m->allow - n, "%s%s%s", n == 0 ? "" : ", ", names[method],
		   method == HTTP_GET ? ", HEAD" : "");
}

int api_route_find(enum http_method method, struct str path, struct api_route_match *out)
{
	enum http_method wanted = method == HTTP_HEAD ? HTTP_GET : method;
	struct str params[API_PARAMS_MAX] = {0};

	*out = (struct api_route_match){0};
	for (size_t i = 0; i < api_route_n; i++) {
		const struct api_route *r = &api_route_table[i];

		if (!api_route_fits(str_of(r->path), path, params))
			continue;
		api_route_allow(out, r->method);
		if (r->method != wanted)
			continue;
		out->route = r;
		for (size_t j = 0; j < API_PARAMS_MAX; j++)
			out->params[j] = params[j];
		return 0;
	}
	if (out->allow[0] == '\0')
		return ERR_NOTFOUND;
	api_route_allow(out, HTTP_OPTIONS);
	return ERR_UNSUPPORTED;
}
