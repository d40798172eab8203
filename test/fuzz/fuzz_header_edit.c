/*
 * Entries of header edits, a line each, into lists and back; whatever is let in stands in one line
 * of a head, and all of it in the room that was counted for it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/header_edit.h"
#include "proto/http_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_all(struct str bytes, enum header_edit what)
{
	size_t room = header_edits_room(bytes, what) + 2, at = 0, len;
	char *mem = malloc(room);
	struct http_writer w;
	struct http_field f;

	CHECK(mem != NULL);
	http_write_begin(&w, mem, room);
	while (header_edits_next(bytes, what, &at, &f)) {
		CHECK((f.flags & (HTTP_F_HOP | HTTP_F_FRAMING | HTTP_F_HOST | HTTP_F_ALIAS)) == 0);
		CHECK(header_edits_has(bytes, what, f.name));
		http_write_field(&w, f.name, f.value);
	}
	CHECK(http_write_end(&w, &len) == 0 && len == room);
	free(mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, line;
	struct header_edits edits = {0}, copy = {0};
	char text[HEADER_EDIT_TEXT];
	struct http_field f, again;
	const char *why;

	for (unsigned i = 0; str_next(&rest, '\n', &line); i++) {
		enum header_edit what = i % HEADER_EDITS;
		size_t len;

		if (header_edit_check(what, line, &f, &why) != 0)
			continue;
		CHECK(str_find(f.value, '\r') == f.value.len);
		len = header_edit_format(what, &f, text);
		CHECK(header_edit_check(what, (struct str){text, len}, &again, &why) == 0);
		CHECK(str_eq(again.name, f.name) && str_eq(again.value, f.value));
		(void)!header_edits_put(&edits, what, &f);
	}
	CHECK(header_edits_merge(&copy, &edits, (1u << HEADER_EDITS) - 1) == 0);
	CHECK(copy.len == edits.len);
	for (unsigned what = 0; what < HEADER_EDITS; what++)
		write_all(header_edits_str(&edits), what);
	return 0;
}
