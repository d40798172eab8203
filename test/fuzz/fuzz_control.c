/* What a server says to an agent: no line makes it dial anything but what a person has named. */
#include <stdlib.h>
#include <string.h>

#include "agent/servers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_nodes(const struct control_nodes *nodes)
{
	struct servers *s = calloc(1, sizeof *s);

	CHECK(s != NULL);
	CHECK(url_parse(STR("https://t.example"), &s->v[0].url, NULL) == 0);
	s->n = s->n_given = 1;
	(void)servers_learn(s, nodes);
	CHECK(s->n >= 1 && s->n <= 1 + SERVERS_LEARNED_MAX);
	for (unsigned i = 0; i < s->n; i++) {
		struct str host = str_of(s->v[i].url.host);

		CHECK(s->v[i].url.scheme == URL_HTTPS);
		CHECK(str_eq(host, STR("t.example")) || str_ends_nocase(host, STR(".t.example")));
	}
	CHECK(!servers_learn(s, nodes)); /* the same again is no news */
	free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str line = {(const char *)data, size};
	struct control_nodes *nodes = calloc(1, sizeof *nodes);
	struct control_line out;

	CHECK(nodes != NULL);
	if (control_parse(line, &out) == 0) {
		CHECK(out.n_urls <= CONTROL_URLS_MAX);
		CHECK(out.op != CONTROL_ATTACHED || out.n_urls > 0);
		CHECK((out.op != CONTROL_REFUSED && out.op != CONTROL_DETACHED) || out.code != 0);
	}
	if (control_parse_nodes(line, nodes) == 0) {
		CHECK(nodes->count >= 1 && nodes->n <= CONTROL_NODES_MAX);
		fuzz_nodes(nodes);
	}
	free(nodes);
	return 0;
}
