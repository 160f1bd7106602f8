/* SPDX-License-Identifier: MIT */
/* What a node tells and gives over HTTP: its state, and the origin's URLs as far as it has them. */
#include "fixture.h"

static struct client node;

/* One GET of the node, over its unix socket or its port. */
static struct {
	int status;
	struct buf body;
	bool over;
	uint64_t size;
} answer;

static int on_head(
	struct http_get *get, const struct http_answer *head, void *data, struct err *err)
{
	(void)get;
	(void)data;
	(void)err;
	answer.status = head->status;
	answer.size = head->size;
	return 0;
}

static int on_body(struct http_get *get, const void *bytes, size_t len, void *data, struct err *err)
{
	(void)get;
	(void)data;
	return buf_put(&answer.body, bytes, len, err);
}

static void on_done(struct http_get *get, const struct err *failure, void *data)
{
	(void)get;
	(void)data;
	assert_null(failure);
	answer.over = true;
}

static const char *get(const char *path, uint64_t off, uint64_t len)
{
	static const struct http_get_ops ops = {.head = on_head, .body = on_body, .done = on_done};
	static const struct http_client_limits limits = HTTP_CLIENT_LIMITS_DEFAULT;
	struct http_client *client;
	struct http_get *request;
	AUTO_FREE char *url =
		path_printf(&fixture_err, "http://127.0.0.1:%u%s", node.config.port, path);
	const struct http_get_params params = {.url = url, .off = off, .len = len};
	buf_clear(&answer.body);
	answer.over = false;
	must(http_client_new(origin.base, &limits, &client, &fixture_err));
	must(http_client_get(client, &params, &ops, NULL, &request, &fixture_err));
	assert_true(wait_for(&origin, &answer.over, PATIENCE_S));
	http_client_free(client);
	return buf_str(&answer.body, &fixture_err);
}

static uint16_t free_port(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	AUTO_FD int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	return ntohs(addr.sin_port);
}

static int set_up(void **state)
{
	(void)origin_set_up(state);
	client_init(&node, &origin);
	node.config.port = free_port();
	node.config.boot_files = true;
	client_boot(&node);
	return 0;
}

static int tear_down(void **state)
{
	client_done(&node);
	buf_done(&answer.body);
	return origin_tear_down(state);
}

static const char *object_url(const struct digest *digest)
{
	static char url[128];
	char hex[DIGEST_HEX_SIZE];
	digest_hex(digest, hex);
	snprintf(url, sizeof(url), "/v1/objects/%.2s/%s", hex, hex);
	return url;
}

static struct buf segment(int i)
{
	struct buf bytes = {0};
	AUTO_FREE char *path = path_printf(&fixture_err, "%s/segment-%d", origin.dir, i);
	must(fd_read_file(AT_FDCWD, path, 1 << 30, &bytes, &fixture_err));
	return bytes;
}

static void gives_what_it_holds(void **state)
{
	(void)state;
	AUTO_BUF data = segment(0);
	struct digest digest = digest_of(data.data, data.len);
	/* Nothing of it was read yet. */
	get(object_url(&digest), 1000, 5000);
	assert_int_equal(answer.status, 404);
	client_connect(&node);
	client_check(&node, 0, 300 * 1024);
	get(object_url(&digest), 1000, 5000);
	assert_int_equal(answer.status, 206);
	assert_int_equal(answer.size, data.len);
	assert_int_equal(answer.body.len, 5000);
	assert_memory_equal(answer.body.data, data.data + 1000, 5000);
	/* Not the whole, and then the whole. */
	get(object_url(&digest), 0, 0);
	assert_int_equal(answer.status, 404);
	client_check_all(&node);
	get(object_url(&digest), 0, 0);
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.body.len, data.len);
	assert_memory_equal(answer.body.data, data.data, data.len);
	/* A tree, and the catalog. */
	get(object_url(&origin.catalog.members.items[0].tree.digest), 0, 0);
	assert_int_equal(answer.status, 200);
	get(object_url(&origin.manifest.catalog.digest), 0, 0);
	assert_int_equal(answer.status, 200);
}

static void keeps_what_is_private(void **state)
{
	(void)state;
	AUTO_BUF data = segment(1);
	struct digest digest = digest_of(data.data, data.len);
	client_connect(&node);
	client_check_all(&node);
	get(object_url(&digest), 0, 100);
	assert_int_equal(answer.status, 404);
	get(object_url(&origin.catalog.members.items[1].tree.digest), 0, 0);
	assert_int_equal(answer.status, 404);
}

static void knows_its_urls(void **state)
{
	(void)state;
	static const char *const unknown[] = {"/", "/v1/statusx", "/v1/objects/00/00",
		"/v1/manifests/other", "/v1/manifests/", "/v1/machines", "/boot/demo/",
		"/boot/demo/netboot.ipxe", "/boot/other/bzImage", "/v1/profiles/00"};
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
		get(unknown[i], 0, 0);
		assert_int_equal(answer.status, 404);
	}
	AUTO_BUF text = {0};
	must(manifest_encode(&origin.manifest, &text, &fixture_err));
	assert_string_equal(get("/v1/manifests/demo", 0, 0), buf_str(&text, &fixture_err));
	get(LINK_PATH, 0, 0);
	assert_int_equal(answer.status, 426);
}

/* It has what it gives to PXE clients fetched beforehand. */
static void gives_boot_files(void **state)
{
	(void)state;
	run_for(&origin, 300);
	assert_string_equal(get("/boot/demo/bzImage", 0, 0), "a kernel");
	assert_string_equal(get("/boot/demo/initrd", 0, 0), "an initramfs");
	client_stop(&node);
	node.config.boot_files = false;
	client_boot(&node);
	get("/boot/demo/bzImage", 0, 0);
	assert_int_equal(answer.status, 404);
}

static void tells_its_state(void **state)
{
	(void)state;
	client_connect(&node);
	client_check(&node, 0, 300 * 1024);
	client_check(&node, 0, 4096);
	const char *text = get("/v1/status", 0, 0);
	AUTO_FREE char *path = fixture_path(origin.dir, "status.json");
	test_write(origin.dir, "status.json", text, strlen(text));
	test_shell("python3 - '%s' <<'END'\n"
		   "import json, sys\n"
		   "s = json.load(open(sys.argv[1]))\n"
		   "assert s['name'] == 'demo' and s['system'] == '/nix/store/demo', s\n"
		   "assert s['serial'] == 7 and s['failure'] is None, s\n"
		   "assert s['reads']['origin']['reads'] == 1, s['reads']\n"
		   "assert s['reads']['memory']['reads'] == 1, s['reads']\n"
		   "assert sum(s['reads']['memory']['latency']) == 1, s['reads']\n"
		   "assert len(s['reads']['disk']['latency']) == 24, s['reads']\n"
		   "assert s['image']['bytes'] == %zu, s['image']\n"
		   "assert s['received']['origin_bytes'] > 300 * 1024, s['received']\n"
		   "assert s['process']['resident_bytes'] > 1 << 20, s['process']\n"
		   "END",
		path, origin.image.len);
	text = get("/metrics", 0, 0);
	assert_non_null(strstr(text, "\nsnowboot_node_image_store_paths 3\n"));
	assert_non_null(strstr(
		text, "\nsnowboot_node_read_seconds_bucket{tier=\"memory\",le=\"+Inf\"} 1\n"));
	unsigned long us, off, len;
	assert_int_equal(sscanf(get("/v1/reads", 0, 0), "%lu %lu %lu", &us, &off, &len), 3);
	assert_int_equal(off, 0);
	assert_int_equal(len, 300 * 1024);
}

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(gives_what_it_holds),
		CASE(keeps_what_is_private),
		CASE(knows_its_urls),
		CASE(gives_boot_files),
		CASE(tells_its_state),
	};
	return TEST_MAIN(tests);
}
