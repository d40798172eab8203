/* One table a setting: a word that only some of its places knew would be stored and not read back.
 */
#include "proto/tunnel_word.h"

#include "base/err.h"

const char *const tunnel_word_kinds[TUNNEL_KINDS + 1] = {
	[TUNNEL_HTTP] = "http",
	[TUNNEL_TCP] = "tcp",
	[TUNNEL_TLS] = "tls",
};

const char *const tunnel_word_policies[TUNNEL_POLICIES + 1] = {
	[TUNNEL_LEAST_CONN] = "least-conn",
	[TUNNEL_ROUND_ROBIN] = "round-robin",
	[TUNNEL_FAILOVER] = "failover",
};

const char *const tunnel_word_tlses[TUNNEL_TLSES + 1] = {
	[TUNNEL_TLS_PASS] = "pass",
	[TUNNEL_TLS_END] = "end",
};

const char *const tunnel_word_proxies[TUNNEL_PROXIES + 1] = {
	[TUNNEL_PROXY_NONE] = "none",
	[TUNNEL_PROXY_V1] = "v1",
	[TUNNEL_PROXY_V2] = "v2",
};

int tunnel_word_find(const char *const *words, struct str word, unsigned *out)
{
	for (unsigned i = 0; words[i] != NULL; i++) {
		if (str_eq(word, str_of(words[i]))) {
			*out = i;
			return 0;
		}
	}
	return ERR_INVAL;
}
