/* Addresses are judged here; passwords, tokens and hooks are the ingress's work. */
#include "core/rights.h"

#include "base/err.h"

bool rights_is_empty(const struct rights *r)
{
	return r->n_users == 0 && r->n_bearers == 0 && r->n_allow == 0 && r->n_deny == 0 &&
	       r->auth_url[0] == '\0';
}

bool rights_allow_address(const struct rights *r, const char *ip)
{
	uint8_t address[16];

	if (r->n_allow == 0 && r->n_deny == 0)
		return true;
	if (cidr_ip_parse(str_of(ip), address) != 0)
		return false;
	if (cidr_match_any(r->deny, r->n_deny, address))
		return false;
	return r->n_allow == 0 || cidr_match_any(r->allow, r->n_allow, address);
}
