/* The order in which the fields count is the standard's; who sends two gets what it says. */
#include "proto/http_cond.h"

#include "proto/http_date.h"

const struct http_field *http_cond_field(const struct http_head *h, struct str name,
					 const struct http_field *f)
{
	size_t i = f == NULL ? 0 : (size_t)(f - h->fields) + 1;

	for (; i < h->n_fields; i++)
		if (str_eq_nocase(h->fields[i].name, name))
			return &h->fields[i];
	return NULL;
}

/*
 * Take the next entity-tag of a list. Commas may stand inside one, so a list is not split first.
 *   *weak  W/ stands in front.
 *   *tag   with its quotes.
 * Returns false at the end, or where there is none.
 */
static bool http_cond_tag(struct str *rest, bool *weak, struct str *tag)
{
	size_t at = 0, end;

	while (at < rest->len && (rest->p[at] == ' ' || rest->p[at] == '\t' || rest->p[at] == ','))
		at++;
	*weak = rest->len - at >= 2 && rest->p[at] == 'W' && rest->p[at + 1] == '/';
	if (*weak)
		at += 2;
	if (at >= rest->len || rest->p[at] != '"')
		return false;
	for (end = at + 1; end < rest->len && rest->p[end] != '"'; end++)
		;
	if (end == rest->len)
		return false;
	*tag = (struct str){rest->p + at, end + 1 - at};
	*rest = (struct str){rest->p + end + 1, rest->len - end - 1};
	return true;
}

/* Does one of the fields of this name list our tag, or "*"? weak_too: a weak one is as good. */
static bool http_cond_lists(const struct http_head *h, const struct http_field *f, bool weak_too,
			    struct str etag)
{
	struct str name = f->name, tag;
	bool weak;

	for (; f != NULL; f = http_cond_field(h, name, f)) {
		struct str rest = f->value;

		if (str_eq(str_trim(rest), STR("*")))
			return true;
		while (http_cond_tag(&rest, &weak, &tag))
			if ((weak_too || !weak) && etag.len > 0 && str_eq(tag, etag))
				return true;
	}
	return false;
}

/* A date, if the field is there and can be read, and there is one to compare it with. */
static bool http_cond_date(const struct http_head *h, struct str name,
			   const struct http_validators *v, int64_t *s)
{
	const struct http_field *f = http_cond_field(h, name, NULL);

	return f != NULL && v->has_modified &&
	       http_date_parse(str_trim(f->value), v->now_s, s) == 0;
}

enum http_cond http_cond_check(const struct http_head *h, const struct http_validators *v)
{
	const struct http_field *f;
	int64_t s;

	if ((f = http_cond_field(h, STR("If-Match"), NULL)) != NULL) {
		if (!http_cond_lists(h, f, false, v->etag))
			return HTTP_COND_FAILED;
	} else if (http_cond_date(h, STR("If-Unmodified-Since"), v, &s) && v->modified_s > s) {
		return HTTP_COND_FAILED;
	}
	if ((f = http_cond_field(h, STR("If-None-Match"), NULL)) != NULL)
		return http_cond_lists(h, f, true, v->etag) ? HTTP_COND_SAME : HTTP_COND_GO;
	if (http_cond_date(h, STR("If-Modified-Since"), v, &s) && v->modified_s <= s)
		return HTTP_COND_SAME;
	return HTTP_COND_GO;
}

bool http_cond_range(const struct http_head *h, const struct http_validators *v)
{
	const struct http_field *f = http_cond_field(h, STR("If-Range"), NULL);
	struct str value, tag;
	bool weak;
	int64_t s;

	if (f == NULL)
		return true;
	if (http_cond_field(h, STR("If-Range"), f) != NULL)
		return false;
	value = f->value;
	if (http_cond_tag(&value, &weak, &tag))
		return !weak && v->etag.len > 0 && str_eq(tag, v->etag) && str_trim(value).len == 0;
	return http_cond_date(h, STR("If-Range"), v, &s) && v->modified_s == s &&
	       v->now_s > v->modified_s;
}
