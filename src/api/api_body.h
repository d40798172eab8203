/* Bodies of requests: JSON that keeps to a schema, or a sentence that names what does not. */
#ifndef KAREZ_API_API_BODY_H
#define KAREZ_API_API_BODY_H

#include "api/api_schema.h"
#include "proto/json.h"

/* Bytes of the path of a member and of a sentence about it, NUL included. */
#define API_FIELD_TEXT	256
#define API_DETAIL_TEXT 256

/* What is wrong with a request, for a person and by name. */
struct api_fault {
	int e;			      /* an ERR_* */
	char field[API_FIELD_TEXT];   /* "ingress.http.alt_names"; "": the body as a whole */
	char detail[API_DETAIL_TEXT]; /* a sentence without a full stop */
};

/* Fill a fault in. Returns e. field: NUL-terminated, cut where it is too long. */
int api_fault_set(struct api_fault *f, int e, const char *field, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

/*
 * Read a body and check it: one object, no member that the schema does not have, types and bounds
 * as it says.
 *   text   as it came, at most API_LARGE_BODY_MAX.
 *   whole  members that are API_REQUIRED must be there.
 *   *out   set on success; json_free() it.
 *   fault  filled otherwise.
 * Returns 0, ERR_PROTO (not JSON), ERR_TOOBIG (nested too deeply), ERR_INVAL (a member), ERR_NOMEM.
 */
int api_body_parse(struct str text, const struct api_schema *s, bool whole, struct json **out,
		   struct api_fault *fault) MUST_CHECK;

/*
 * Members of what was checked. One that is not there leaves *out alone.
 * Return whether it is there.
 */
bool api_body_text(const struct json *obj, const char *key, struct str *out);
bool api_body_bool(const struct json *obj, const char *key, bool *out);
bool api_body_number(const struct json *obj, const char *key, uint64_t *out);
bool api_body_time(const struct json *obj, const char *key, int64_t *out);

/* An object or list; NULL when it is not there, or no list where one may be told as a number. */
const struct json *api_body_object(const struct json *obj, const char *key);
const struct json *api_body_list(const struct json *obj, const char *key);

#endif
