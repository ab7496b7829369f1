// What the Go client asks of a server. Ends with the line "N passed, N failed".
package main

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/samuel/go-zookeeper/zk"
)

var passed, failed int

func check(what string, wanted, got interface{}) {
	if reflect.DeepEqual(wanted, got) {
		passed++
		return
	}
	failed++
	fmt.Printf("FAILED %s: wanted %v, got %v\n", what, wanted, got)
}

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

// One server, or the members of an ensemble.
var hosts = strings.Split(os.Getenv("INTEROP_HOSTS"), ",")

func connect(timeout time.Duration) (*zk.Conn, <-chan zk.Event) {
	conn, events, err := zk.Connect(hosts, timeout, zk.WithLogger(quiet{}))
	if err != nil {
		fmt.Printf("FAILED connect: %v\n0 passed, 1 failed\n", err)
		os.Exit(1)
	}
	await(events, zk.StateHasSession)
	return conn, events
}

func await(events <-chan zk.Event, state zk.State) {
	deadline := time.After(40 * time.Second)
	for {
		select {
		case event := <-events:
			if event.State == state {
				return
			}
		case <-deadline:
			check("a session event", state, "nothing")
			return
		}
	}
}

func next(events <-chan zk.Event) string {
	select {
	case event := <-events:
		return event.Type.String() + " " + event.Path
	case <-time.After(10 * time.Second):
		return "nothing"
	}
}

func removeTree(conn *zk.Conn, path string) {
	children, _, err := conn.Children(path)
	if err != nil {
		return
	}
	for _, child := range children {
		removeTree(conn, path+"/"+child)
	}
	conn.Delete(path, -1)
}

var open = zk.WorldACL(zk.PermAll)

func nodes(conn *zk.Conn) {
	path, err := conn.Create("/go", []byte("root"), 0, open)
	check("create", []interface{}{"/go", nil}, []interface{}{path, err})
	_, err = conn.Create("/go", nil, 0, open)
	check("create twice", zk.ErrNodeExists, err)
	_, err = conn.Create("/go/none/x", nil, 0, open)
	check("create without parent", zk.ErrNoNode, err)
	path, err = conn.Create("/go/s-", nil, zk.FlagSequence|zk.FlagEphemeral, open)
	check("sequential", []interface{}{"/go/s-0000000000", nil}, []interface{}{path, err})
	_, stat, err := conn.Exists(path)
	check("its owner", conn.SessionID(), stat.EphemeralOwner)
	_, err = conn.Create(path+"/x", nil, 0, open)
	check("child of an ephemeral", zk.ErrNoChildrenForEphemerals, err)
	data, stat, err := conn.Get("/go")
	check("get", "root", string(data))
	check("version", int32(0), stat.Version)
	stat, err = conn.Set("/go", []byte("again"), 0)
	check("set", int32(1), stat.Version)
	_, err = conn.Set("/go", nil, 0)
	check("set with an old version", zk.ErrBadVersion, err)
	check("delete of a parent", zk.ErrNotEmpty, conn.Delete("/go", -1))
	check("delete of nothing", zk.ErrNoNode, conn.Delete("/go/none", -1))
	exists, _, err := conn.Exists("/go/none")
	check("exists of nothing", []interface{}{false, nil}, []interface{}{exists, err})
	for _, name := range []string{"b", "a", "c"} {
		conn.Create("/go/"+name, nil, 0, open)
	}
	children, stat, _ := conn.Children("/go")
	sort.Strings(children)
	check("children", []string{"a", "b", "c", "s-0000000000"}, children)
	check("their number", int32(4), stat.NumChildren)
	path, err = conn.Sync("/go")
	check("sync", []interface{}{"/go", nil}, []interface{}{path, err})
	path, err = conn.CreateProtectedEphemeralSequential("/go/p-", nil, open)
	check("protected", true, err == nil && len(path) > len("/go/_c_p-"))
}

func transactions(conn *zk.Conn) {
	results, err := conn.Multi(
		&zk.CreateRequest{Path: "/go/m", Data: []byte("1"), Acl: open},
		&zk.SetDataRequest{Path: "/go/m", Data: []byte("2"), Version: 0},
		&zk.CheckVersionRequest{Path: "/go/m", Version: 1},
		&zk.DeleteRequest{Path: "/go/a", Version: -1})
	check("multi", nil, err)
	check("its answers", 4, len(results))
	check("its create", "/go/m", results[0].String)
	check("its set", int32(1), results[1].Stat.Version)
	results, err = conn.Multi(
		&zk.CreateRequest{Path: "/go/n", Acl: open},
		&zk.CheckVersionRequest{Path: "/go/m", Version: 7})
	check("failing multi", zk.ErrBadVersion, err)
	exists, _, _ := conn.Exists("/go/n")
	check("undone", false, exists)
}

func access(conn *zk.Conn) {
	stranger, _ := connect(10 * time.Second)
	defer stranger.Close()
	check("add auth", nil, conn.AddAuth("digest", []byte("ann:secret")))
	_, err := conn.Create("/go/mine", []byte("m"), 0, zk.AuthACL(zk.PermAll))
	check("create with auth", nil, err)
	acl, _, err := conn.GetACL("/go/mine")
	check("get acl", zk.DigestACL(zk.PermAll, "ann", "secret"), acl)
	// Each member of an ensemble learns in its own time of what others have written.
	stranger.Sync("/go")
	_, _, err = stranger.Get("/go/mine")
	check("a stranger", zk.ErrNoAuth, err)
	stat, err := conn.SetACL("/go/mine", zk.WorldACL(zk.PermRead), 0)
	check("set acl", int32(1), stat.Aversion)
	stranger.Sync("/go")
	data, _, err := stranger.Get("/go/mine")
	check("now", "m", string(data))
	_, err = stranger.Create("/go/x", nil, 0, zk.AuthACL(zk.PermAll))
	check("auth for nobody", zk.ErrInvalidACL, err)
}

func watches(conn *zk.Conn) {
	writer, _ := connect(10 * time.Second)
	defer writer.Close()
	_, _, made, _ := conn.ExistsW("/go/w")
	_, _, children, _ := conn.ChildrenW("/go")
	writer.Create("/go/w", nil, 0, open)
	check("creation", "EventNodeCreated /go/w", next(made))
	check("parent", "EventNodeChildrenChanged /go", next(children))
	_, _, changed, _ := conn.GetW("/go/w")
	writer.Set("/go/w", []byte("x"), -1)
	check("change", "EventNodeDataChanged /go/w", next(changed))
	_, _, gone, _ := conn.GetW("/go/w")
	writer.Delete("/go/w", -1)
	check("deletion", "EventNodeDeleted /go/w", next(gone))
}

func locks() {
	const turns = 10
	inside, most, done := 0, 0, make(chan error)
	for n := 0; n < 3; n++ {
		go func() {
			conn, _ := connect(10 * time.Second)
			defer conn.Close()
			lock := zk.NewLock(conn, "/go/lock", open)
			for turn := 0; turn < turns; turn++ {
				if err := lock.Lock(); err != nil {
					done <- err
					return
				}
				inside++
				if inside > most {
					most = inside
				}
				time.Sleep(time.Millisecond)
				inside--
				lock.Unlock()
			}
			done <- nil
		}()
	}
	for n := 0; n < 3; n++ {
		check("a contender", nil, <-done)
	}
	check("most holders at a time", 1, most)
}

// The session, its ephemeral and its watch come through a restart of the server.
func restart() {
	control := os.Getenv("INTEROP_CONTROL")
	conn, events := connect(10 * time.Second)
	id := conn.SessionID()
	conn.Create("/go/e", nil, zk.FlagEphemeral, open)
	_, _, changed, _ := conn.GetW("/go")
	restarted := make(chan error)
	go func() { restarted <- exec.Command(control, "restart").Run() }()
	// The client throws away what nobody reads at once. Members stop one by one, so it may come back more than once.
	await(events, zk.StateHasSession)
	check("restart", nil, <-restarted)
	for n := 0; n < 2000 && conn.State() != zk.StateHasSession; n++ {
		time.Sleep(20 * time.Millisecond)
	}
	check("same session", id, conn.SessionID())
	_, stat, err := conn.Exists("/go/e")
	check("ephemeral", []interface{}{id, nil}, []interface{}{stat.EphemeralOwner, err})
	conn.Set("/go", []byte("new"), -1)
	check("watch", "EventNodeDataChanged /go", next(changed))
	conn.Close()
}

// Its parsers of srvr and cons understand no server since 3.6, the real one included.
func words() {
	for n, ok := range zk.FLWRuok(hosts, 5*time.Second) {
		check("ruok of "+hosts[n], true, ok)
	}
}

func main() {
	conn, _ := connect(10 * time.Second)
	removeTree(conn, "/go")
	nodes(conn)
	transactions(conn)
	access(conn)
	watches(conn)
	locks()
	words()
	conn.Close()
	restart()
	conn, _ = connect(10 * time.Second)
	exists, _, _ := conn.Exists("/go/e")
	check("ephemeral of a closed session", false, exists)
	removeTree(conn, "/go")
	conn.Close()
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
