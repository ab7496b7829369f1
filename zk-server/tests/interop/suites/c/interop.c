/*
 * What the C client asks of a server: pipelined operations, transactions, identities, watches, and a session that
 * is taken up again by another handle. Usage: interop HOST:PORT[,HOST:PORT...]. Ends with the line "N passed, N failed".
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

static const char *hosts;
static int passed, failed;

#define CHECK(what)                                                            \
    do {                                                                       \
        if (what) {                                                            \
            passed++;                                                          \
        } else {                                                               \
            failed++;                                                          \
            printf("FAILED line %d: %s\n", __LINE__, #what);                   \
        }                                                                      \
    } while (0)

static int rc_is(int line, const char *what, int rc, int wanted) {
    if (rc == wanted) {
        passed++;
        return 1;
    }
    failed++;
    printf("FAILED line %d: %s gave %d (%s), not %d (%s)\n", line, what, rc, zerror(rc), wanted, zerror(wanted));
    return 0;
}
#define RC(call, wanted) rc_is(__LINE__, #call, (call), (wanted))

/* What callbacks and watchers write, and the main thread waits for. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static int wait_for(int *counter, int wanted) {
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 15;
    pthread_mutex_lock(&lock);
    while (*counter < wanted && pthread_cond_timedwait(&changed, &lock, &deadline) == 0) {
    }
    int got = *counter;
    pthread_mutex_unlock(&lock);
    return got;
}

static void count(int *counter) {
    pthread_mutex_lock(&lock);
    (*counter)++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

struct session {
    int connected, expired;
};

static void session_watcher(zhandle_t *zh, int type, int state, const char *path, void *context) {
    struct session *session = (struct session *)zoo_get_context(zh);
    (void)path;
    (void)context;
    if (type != ZOO_SESSION_EVENT || session == NULL) {
        return;
    }
    if (state == ZOO_CONNECTED_STATE) {
        count(&session->connected);
    } else if (state == ZOO_EXPIRED_SESSION_STATE) {
        count(&session->expired);
    }
}

static zhandle_t *open_session(struct session *session, const clientid_t *id, int timeout) {
    memset(session, 0, sizeof *session);
    zhandle_t *zh = zookeeper_init(hosts, session_watcher, timeout, id, session, 0);
    if (zh == NULL) {
        printf("zookeeper_init failed\n");
        exit(2);
    }
    return zh;
}

static zhandle_t *open_connected(struct session *session) {
    zhandle_t *zh = open_session(session, NULL, 10000);
    if (wait_for(&session->connected, 1) < 1) {
        printf("FAILED: no connection to %s\n0 passed, 1 failed\n", hosts);
        exit(2);
    }
    return zh;
}

static void remove_tree(zhandle_t *zh, const char *path) {
    struct String_vector children = {0};
    if (zoo_get_children(zh, path, 0, &children) == ZOK) {
        for (int n = 0; n < children.count; n++) {
            char child[1024];
            snprintf(child, sizeof child, "%s/%s", path, children.data[n]);
            remove_tree(zh, child);
        }
        deallocate_String_vector(&children);
    }
    zoo_delete(zh, path, -1);
}

static void basics(zhandle_t *zh) {
    char path[256], data[64];
    int length;
    struct Stat stat, again;
    RC(zoo_create(zh, "/c", "root", 4, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path), ZOK);
    CHECK(strcmp(path, "/c") == 0);
    RC(zoo_create(zh, "/c", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZNODEEXISTS);
    RC(zoo_create(zh, "/c/x/y", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZNONODE);
    RC(zoo_create(zh, "/c/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, path, sizeof path), ZOK);
    CHECK(strcmp(path, "/c/s-0000000000") == 0);
    RC(zoo_create(zh, "/c/e-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE | ZOO_EPHEMERAL, path, sizeof path), ZOK);
    CHECK(strcmp(path, "/c/e-0000000001") == 0);
    RC(zoo_exists(zh, path, 0, &stat), ZOK);
    CHECK(stat.ephemeralOwner == zoo_client_id(zh)->client_id);
    RC(zoo_create2(zh, "/c/two", "12", 2, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path, &stat), ZOK);
    CHECK(strcmp(path, "/c/two") == 0 && stat.dataLength == 2 && stat.version == 0);
    RC(zoo_exists(zh, "/c/two", 0, &again), ZOK);
    CHECK(stat.czxid == again.czxid && stat.mzxid == again.mzxid && stat.pzxid == again.pzxid);
    CHECK(stat.ctime == again.ctime && stat.mtime == again.mtime);
    length = sizeof data;
    RC(zoo_get(zh, "/c", 0, data, &length, &stat), ZOK);
    CHECK(length == 4 && memcmp(data, "root", 4) == 0 && stat.numChildren == 3);
    RC(zoo_create(zh, "/c/null", NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
    length = sizeof data;
    RC(zoo_get(zh, "/c/null", 0, data, &length, NULL), ZOK);
    CHECK(length == -1);
    RC(zoo_set2(zh, "/c", "again", 5, 0, &stat), ZOK);
    CHECK(stat.version == 1);
    RC(zoo_set(zh, "/c", "never", 5, 0), ZBADVERSION);
    RC(zoo_delete(zh, "/c", -1), ZNOTEMPTY);
    RC(zoo_delete(zh, "/c/two", 3), ZBADVERSION);
    RC(zoo_delete(zh, "/c/two", 0), ZOK);
    RC(zoo_exists(zh, "/c/two", 0, NULL), ZNONODE);
    struct String_vector children;
    RC(zoo_get_children2(zh, "/c", 0, &children, &stat), ZOK);
    CHECK(children.count == 3 && stat.numChildren == 3 && stat.cversion == 5);
    deallocate_String_vector(&children);
}

#define MANY 500
static int created, read_back, order_broken;
static int64_t last_version;

static void on_create(int rc, const char *value, const void *data) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "/c/many/%04d", (int)(long)data);
    if (rc != ZOK || strcmp(value, wanted) != 0) {
        order_broken = 1;
    }
    count(&created);
}

static void on_get(int rc, const char *value, int length, const struct Stat *stat, const void *data) {
    (void)data;
    if (rc != ZOK || length != 4 || stat->version < last_version || memcmp(value, "data", 4) != 0) {
        order_broken = 1;
    } else {
        last_version = stat->version;
    }
    count(&read_back);
}

static void on_set(int rc, const struct Stat *stat, const void *data) {
    if (rc != ZOK || stat->version != (int)(long)data) {
        order_broken = 1;
    }
}

/* Hundreds of requests in flight: answered once each, in order, reads seeing the writes before them. */
static void pipelined(zhandle_t *zh) {
    RC(zoo_create(zh, "/c/many", "data", 4, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
    for (long n = 0; n < MANY; n++) {
        char path[64];
        snprintf(path, sizeof path, "/c/many/%04ld", n);
        zoo_acreate(zh, path, "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, on_create, (void *)n);
        zoo_aset(zh, "/c/many", "data", 4, (int)n, on_set, (void *)(n + 1));
        zoo_aget(zh, "/c/many", 0, on_get, NULL);
    }
    CHECK(wait_for(&created, MANY) == MANY);
    CHECK(wait_for(&read_back, MANY) == MANY);
    CHECK(!order_broken);
    CHECK(last_version == MANY);
}

static void transactions(zhandle_t *zh) {
    zoo_op_t ops[5];
    zoo_op_result_t results[5];
    char path[64], sequential[64];
    struct Stat stat;
    zoo_create_op_init(&ops[0], "/c/m", "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, path, sizeof path);
    zoo_create_op_init(&ops[1], "/c/m/s-", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, sequential, sizeof sequential);
    zoo_set_op_init(&ops[2], "/c/m", "22", 2, 0, &stat);
    zoo_check_op_init(&ops[3], "/c/m", 1);
    zoo_delete_op_init(&ops[4], "/c/null", -1);
    RC(zoo_multi(zh, 5, ops, results), ZOK);
    for (int n = 0; n < 5; n++) {
        CHECK(results[n].err == ZOK);
    }
    CHECK(strcmp(path, "/c/m") == 0 && strcmp(sequential, "/c/m/s-0000000000") == 0);
    CHECK(stat.version == 1 && stat.dataLength == 2);
    zoo_set_op_init(&ops[0], "/c/m", "333", 3, -1, &stat);
    zoo_check_op_init(&ops[1], "/c/m", 7);
    zoo_delete_op_init(&ops[2], "/c/m", -1);
    RC(zoo_multi(zh, 3, ops, results), ZBADVERSION);
    CHECK(results[0].err == ZOK);
    CHECK(results[1].err == ZBADVERSION);
    CHECK(results[2].err == ZRUNTIMEINCONSISTENCY);
    RC(zoo_exists(zh, "/c/m", 0, &stat), ZOK);
    CHECK(stat.version == 1);
}

static int synced;
static void on_sync(int rc, const char *value, const void *data) {
    if (rc == ZOK && strcmp(value, data) == 0) {
        count(&synced);
    }
}

/* What others have written before is seen from now on: each member of an ensemble learns of it in its own time. */
static void catch_up(zhandle_t *zh) {
    synced = 0;
    RC(zoo_async(zh, "/c", on_sync, "/c"), ZOK);
    CHECK(wait_for(&synced, 1) == 1);
}

static int authenticated, auth_rc;
static void on_auth(int rc, const void *data) {
    (void)data;
    auth_rc = rc;
    count(&authenticated);
}

static void identities(zhandle_t *zh) {
    struct session session;
    zhandle_t *stranger = open_connected(&session);
    struct ACL_vector acl;
    struct Stat stat;
    char data[16];
    int length = sizeof data;
    RC(zoo_add_auth(zh, "digest", "ann:secret", 10, on_auth, NULL), ZOK);
    CHECK(wait_for(&authenticated, 1) == 1 && auth_rc == ZOK);
    RC(zoo_create(zh, "/c/mine", "m", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
    catch_up(stranger);
    RC(zoo_get(stranger, "/c/mine", 0, data, &length, NULL), ZNOAUTH);
    RC(zoo_set(stranger, "/c/mine", "x", 1, -1), ZNOAUTH);
    RC(zoo_set_acl(stranger, "/c/mine", -1, &ZOO_OPEN_ACL_UNSAFE), ZNOAUTH);
    RC(zoo_create(stranger, "/c/none", "", 0, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZINVALIDACL);
    RC(zoo_get_acl(zh, "/c/mine", &acl, &stat), ZOK);
    CHECK(acl.count == 1 && acl.data[0].perms == ZOO_PERM_ALL);
    CHECK(strcmp(acl.data[0].id.scheme, "digest") == 0 && strncmp(acl.data[0].id.id, "ann:", 4) == 0);
    deallocate_ACL_vector(&acl);
    RC(zoo_set_acl(zh, "/c/mine", 0, &ZOO_READ_ACL_UNSAFE), ZOK);
    length = sizeof data;
    catch_up(stranger);
    RC(zoo_get(stranger, "/c/mine", 0, data, &length, NULL), ZOK);
    RC(zoo_set(stranger, "/c/mine", "x", 1, -1), ZNOAUTH);
    RC(zoo_set_acl(zh, "/c/mine", 1, &ZOO_OPEN_ACL_UNSAFE), ZNOAUTH);
    authenticated = 0;
    RC(zoo_add_auth(stranger, "nonsense", "x", 1, on_auth, NULL), ZOK);
    CHECK(wait_for(&authenticated, 1) == 1 && auth_rc == ZAUTHFAILED);
    zookeeper_close(stranger);
}

struct seen {
    int events, types[8];
    char paths[8][64];
};

static void note(zhandle_t *zh, int type, int state, const char *path, void *context) {
    struct seen *seen = context;
    (void)zh;
    (void)state;
    if (type == ZOO_SESSION_EVENT) {
        return;
    }
    if (seen->events < 8) {
        seen->types[seen->events] = type;
        snprintf(seen->paths[seen->events], sizeof seen->paths[0], "%s", path);
    }
    count(&seen->events);
}

static int saw(struct seen *seen, int type, const char *path) {
    int right = wait_for(&seen->events, 1) == 1 && seen->types[0] == type && strcmp(seen->paths[0], path) == 0;
    memset(seen, 0, sizeof *seen);
    return right;
}

static void watches(zhandle_t *zh) {
    struct session session;
    zhandle_t *writer = open_connected(&session);
    static struct seen made, data, children;
    char buffer[16];
    int length = sizeof buffer;
    struct String_vector names;
    RC(zoo_wexists(zh, "/c/w", note, &made, NULL), ZNONODE);
    RC(zoo_wget_children(zh, "/c", note, &children, &names), ZOK);
    deallocate_String_vector(&names);
    RC(zoo_create(writer, "/c/w", "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZOK);
    CHECK(saw(&made, ZOO_CREATED_EVENT, "/c/w"));
    CHECK(saw(&children, ZOO_CHILD_EVENT, "/c"));
    RC(zoo_wget(zh, "/c/w", note, &data, buffer, &length, NULL), ZOK);
    RC(zoo_set(writer, "/c/w", "x", 1, -1), ZOK);
    CHECK(saw(&data, ZOO_CHANGED_EVENT, "/c/w"));
    RC(zoo_wexists(zh, "/c/w", note, &made, NULL), ZOK);
    RC(zoo_delete(writer, "/c/w", -1), ZOK);
    CHECK(saw(&made, ZOO_DELETED_EVENT, "/c/w"));
    RC(zoo_wexists(zh, "/c/w", note, &made, NULL), ZNONODE);
    RC(zoo_remove_watches(zh, "/c/w", ZWATCHTYPE_DATA, note, &made, 0), ZOK);
    RC(zoo_remove_watches(zh, "/c/none", ZWATCHTYPE_DATA, note, &made, 0), ZNOWATCHER);
    zookeeper_close(writer);
}

/* A process of its own opens a session, makes an ephemeral and dies without a word; its identity comes back. */
static clientid_t orphan(void) {
    clientid_t id;
    int ends[2];
    if (pipe(ends) != 0) {
        exit(2);
    }
    pid_t child = fork();
    if (child == 0) {
        struct session session;
        zhandle_t *zh = open_connected(&session);
        zoo_delete(zh, "/c-held", -1);
        zoo_create(zh, "/c-held", "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL, NULL, 0);
        id = *zoo_client_id(zh);
        _exit(write(ends[1], &id, sizeof id) == sizeof id ? 0 : 1);
    }
    if (read(ends[0], &id, sizeof id) != sizeof id) {
        exit(2);
    }
    waitpid(child, NULL, 0);
    return id;
}

/* Whoever shows the identity of a session has the session; with a wrong password it is an expired one. */
static void taking_over(zhandle_t *zh, const clientid_t *id) {
    struct session second, third;
    struct Stat stat;
    zhandle_t *heir = open_session(&second, id, 10000);
    CHECK(wait_for(&second.connected, 1) == 1);
    CHECK(zoo_client_id(heir)->client_id == id->client_id);
    RC(zoo_exists(heir, "/c-held", 0, &stat), ZOK);
    CHECK(stat.ephemeralOwner == id->client_id);
    clientid_t forged = *id;
    forged.passwd[0] ^= 1;
    zhandle_t *thief = open_session(&third, &forged, 10000);
    CHECK(wait_for(&third.expired, 1) == 1);
    CHECK(zoo_state(thief) == ZOO_EXPIRED_SESSION_STATE);
    zookeeper_close(thief);
    /* The attempt costs the heir its connection, not its session. */
    CHECK(wait_for(&second.connected, 2) == 2);
    CHECK(zoo_client_id(heir)->client_id == id->client_id && second.expired == 0);
    RC(zoo_exists(zh, "/c-held", 0, &stat), ZOK);
    RC(zookeeper_close(heir), ZOK);
    catch_up(zh);
    RC(zoo_exists(zh, "/c-held", 0, NULL), ZNONODE);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: interop HOST:PORT[,HOST:PORT...]\n");
        return 2;
    }
    hosts = argv[1];
    zoo_set_debug_level(0);
    zoo_deterministic_conn_order(1);
    clientid_t id = orphan();
    struct session session;
    zhandle_t *zh = open_connected(&session);
    taking_over(zh, &id);
    /* Those met at one server; from here on, everyone goes where chance sends it. */
    zoo_deterministic_conn_order(0);
    remove_tree(zh, "/c");
    basics(zh);
    pipelined(zh);
    transactions(zh);
    watches(zh);
    identities(zh);
    catch_up(zh);
    remove_tree(zh, "/c");
    RC(zoo_exists(zh, "/c", 0, NULL), ZNONODE);
    RC(zookeeper_close(zh), ZOK);
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
