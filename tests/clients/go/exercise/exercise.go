// Package exercise is what the programs here share: where the server is, what is stored there, and
// how to report (as scripts/exercise.py does).
package exercise

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
)

const MiB = 1024 * 1024

var (
	URL    = os.Getenv("BLEEPSTORE_TEST_URL")
	Bucket = os.Getenv("BLEEPSTORE_TEST_BUCKET")
	Small  = small()
	Large  = large()
	// AwkwardKeys are what clients and servers are known to quote differently.
	AwkwardKeys = []string{
		"odd/with space", "odd/a+b", "odd/100%", "odd/%41 percent", "odd/key=value&x=y",
		"odd/grüße/日本語 🙂", "odd/q?m#h;c:a@e!$'(),*~[x]", "odd//double//slash",
	}
)

func small() []byte {
	made := make([]byte, 1024)
	for n := range made {
		made[n] = byte(n)
	}
	return made
}

func large() []byte {
	var made []byte
	for n := 0; n < 18*MiB/32; n++ {
		sum := sha256.Sum256([]byte(fmt.Sprint(n)))
		made = append(made, sum[:]...)
	}
	return made
}

var (
	failed bool
	out    sync.Mutex
)

func say(line map[string]string) {
	out.Lock()
	defer out.Unlock()
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

// Doing is one operation: done when the function returns, failed when it panics; the program goes on
// either way.
func Doing(operation string, work func()) {
	defer func() {
		if reason := recover(); reason != nil {
			failed = true
			say(map[string]string{"failed": operation, "why": fmt.Sprintf("%v\n%s", reason, debug.Stack())})
			return
		}
		say(map[string]string{"done": operation})
	}()
	work()
}

// Must returns the value, or ends the operation.
func Must[T any](value T, err error) T {
	Check(err)
	return value
}

// Check ends the operation where there is an error.
func Check(err error) {
	if err != nil {
		panic(err)
	}
}

// Equal ends the operation where the two do not print alike.
func Equal(found, expected any) {
	if got, want := fmt.Sprintf("%#v", found), fmt.Sprintf("%#v", expected); got != want {
		panic(fmt.Sprintf("found %.300s, expected %.300s", got, want))
	}
}

// Stored claims that this object is there at the end of the program; the test reads it.
func Stored(key string, body []byte) {
	sum := md5.Sum(body)
	say(map[string]string{"stored": key, "md5": hex.EncodeToString(sum[:])})
}

// Finish ends the program with a status that says whether everything was done.
func Finish() {
	if failed {
		os.Exit(1)
	}
}
