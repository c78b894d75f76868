// SPDX-License-Identifier: BSD-2-Clause
/* lab.c - kbypass lab up|down|status. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <kbypass/lab.h>

#include "cli.h"

#define SCHEMA "kbypass.lab/1"

static const char *const side_names[2] = { "tx", "rx" };

static json_t *json_host(const struct kbp_lab_host *h, int side)
{
	char ip4[48], ip6[48], mac[18];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", h->mac[0], h->mac[1], h->mac[2],
		 h->mac[3], h->mac[4], h->mac[5]);
	return json_pack("{s:s, s:s, s:s, s:s?, s:s, s:s?}", "side", side_names[side], "netns",
			 h->netns, "interface", h->ifname, "mac", h->ifindex ? mac : NULL, "ipv4",
			 cli_addr(&h->ip4, ip4, sizeof(ip4)), "ipv6",
			 h->ip6.family ? cli_addr(&h->ip6, ip6, sizeof(ip6)) : NULL);
}

static int print_json(const struct kbp_lab_info *info)
{
	return cli_json(json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:[o, o]}", "schema", SCHEMA,
				  "state", "up", "prefix", info->prefix, "existed", (int)info->existed,
				  "queues", (int)info->queues, "mtu", (int)info->mtu, "hosts",
				  json_host(&info->host[0], 0), json_host(&info->host[1], 1)));
}

static int print_state(const char *prefix, const char *state, bool json)
{
	if (json)
		return cli_json(json_pack("{s:s, s:s, s:s}", "schema", SCHEMA, "state", state,
					  "prefix", prefix));
	printf("lab %s: %s\n", prefix, state);
	return CLI_OK;
}

static void print_text(const struct kbp_lab_info *info)
{
	char ip4[48], ip6[48];

	printf("lab %s: up%s, %u queues, MTU %u\n", info->prefix, info->existed ? " already" : "",
	       info->queues, info->mtu);
	printf("%s%-6s%-18s%-17s%-18s%s%s\n", cli_bold(), "side", "namespace", "interface", "IPv4",
	       "IPv6", cli_plain());
	for (int s = 0; s < 2; s++) {
		const struct kbp_lab_host *h = &info->host[s];

		printf("%-6s%-18s%-17s%-18s%s\n", side_names[s], h->netns, h->ifname,
		       cli_addr(&h->ip4, ip4, sizeof(ip4)), cli_addr(&h->ip6, ip6, sizeof(ip6)));
	}
	printf("Run something on a host: ip netns exec %s COMMAND\n", info->host[KBP_LAB_RX].netns);
}

static int lab_up(const struct kbp_lab_opts *opts, bool json)
{
	struct kbp_lab_info info;
	struct kbp_error err;

	if (kbp_lab_up(opts, &info, &err))
		return cli_fail(&err);
	if (json)
		return print_json(&info);
	print_text(&info);
	return CLI_OK;
}

static int lab_down(const char *prefix, bool json)
{
	struct kbp_error err;
	int rc = kbp_lab_down(prefix, &err);

	if (rc < 0)
		return cli_fail(&err);
	if (json)
		return print_state(prefix, "down", json);
	return print_state(prefix, rc ? "taken down" : "there was none", json);
}

/* What else is there: a lab of a running bench, or what a killed one left. */
static void print_others(const char *prefix)
{
	struct kbp_lab_entry list[64];
	int n = kbp_lab_list(list, 64);

	for (int i = 0; i < n && i < 64; i++) {
		if (!strcmp(list[i].prefix, prefix))
			continue;
		printf("also there: lab %s", list[i].prefix);
		if (list[i].owner_pid)
			printf(", of process %d", list[i].owner_pid);
		printf("%s\n",
		       list[i].leftover ? ", left over: the next `up` or `down` removes it" : "");
	}
}

static int lab_status(const char *prefix, bool json)
{
	struct kbp_lab_info info;
	struct kbp_error err;
	int rc = kbp_lab_find(prefix, &info, &err);

	if (rc == -ENOENT || rc == -ENODEV) {
		rc = print_state(prefix, rc == -ENOENT ? "down" : "incomplete", json);
		if (!json)
			print_others(prefix);
		return rc ? rc : CLI_FINDINGS;
	}
	if (rc)
		return cli_fail(&err);
	if (json)
		return print_json(&info);
	print_text(&info);
	print_others(prefix);
	return CLI_OK;
}

int cmd_lab(int argc, char **argv)
{
	static const char *const verbs[] = { "up", "down", "status" };
	struct kbp_lab_opts opts = KBP_LAB_OPTS_INIT;
	const char *verb = "", *near;
	bool json = false;
	const struct cli_option options[] = {
		{ "queues", "N", "RX and TX queues of each interface, 1 to 64 (default 2)", CLI_U32,
		  &opts.queues, 1, 64 },
		{ "mtu", "BYTES", "1280 to 65535 (default 1500)", CLI_U32, &opts.mtu, 1280, 65535 },
		{ "prefix", "NAME", "what all names begin with (default kbp)", CLI_TEXT,
		  &opts.prefix, 0, 0 },
		CLI_JSON_OPTION(&json),
	};
	const struct cli_usage usage = {
		"lab up|down|status [OPTION]...",
		"A throw-away network of two hosts to try everything on: two network namespaces, kbp-tx\n"
		"and kbp-rx, joined by a multi-queue veth pair. The host's own network is not touched.\n"
		"`up` can be repeated; `down` leaves nothing, also after a killed run; `status` exits 1\n"
		"when there is no lab. up and down need CAP_SYS_ADMIN and CAP_NET_ADMIN.",
		options, sizeof(options) / sizeof(options[0])
	};
	int n = cli_parse(&usage, argc, argv, &verb, 1);

	if (n < 0)
		return n == -2 ? CLI_OK : CLI_ERROR;
	if (!n)
		return cli_misuse("lab", "say what to do: up, down or status");
	if (!opts.prefix)
		opts.prefix = "kbp";
	if (!strcmp(verb, "up"))
		return lab_up(&opts, json);
	if (!strcmp(verb, "down"))
		return lab_down(opts.prefix, json);
	if (!strcmp(verb, "status"))
		return lab_status(opts.prefix, json);
	near = cli_nearest(verb, verbs, 3);
	return near ? cli_misuse("lab", "unknown action \"%s\": did you mean \"%s\"?", verb, near) :
		      cli_misuse("lab", "unknown action \"%s\": up, down or status", verb);
}
