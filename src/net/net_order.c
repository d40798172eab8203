/* A resolver may list ten addresses that lead nowhere before the first one that leads somewhere. */
#include "net/net_order.h"

/* The first of [n], from `i` on, that is (or is not) of this family; n if there is none. */
static size_t net_order_next(const struct net_addr *in, size_t n, size_t i, bool of_family)
{
	while (i < n && (in[i].sa.sa_family == in[0].sa.sa_family) != of_family)
		i++;
	return i;
}

size_t net_order(const struct net_addr *in, size_t n, struct net_addr *out, size_t cap)
{
	size_t at[2] = {net_order_next(in, n, 0, false), net_order_next(in, n, 0, true)};
	size_t n_out = 0;

	for (bool turn = true; n_out < cap && (at[0] < n || at[1] < n); turn = !turn) {
		if (at[turn] == n)
			continue;
		out[n_out++] = in[at[turn]];
		at[turn] = net_order_next(in, n, at[turn] + 1, turn);
	}
	return n_out;
}
