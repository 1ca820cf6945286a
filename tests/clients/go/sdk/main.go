// aws-sdk-go-v2: the client with its defaults, both transfer managers, the presigner, checksums.
package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	. "bleepstore/clients/exercise"
)

var (
	ctx    = context.Background()
	client *s3.Client
	bucket = aws.String(Bucket)
)

func put(key string, body []byte, options ...func(*s3.PutObjectInput)) (*s3.PutObjectOutput, error) {
	input := &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(body)}
	for _, option := range options {
		option(input)
	}
	return client.PutObject(ctx, input)
}

func get(key string, options ...func(*s3.GetObjectInput)) ([]byte, error) {
	input := &s3.GetObjectInput{Bucket: bucket, Key: &key}
	for _, option := range options {
		option(input)
	}
	reply, err := client.GetObject(ctx, input)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	return io.ReadAll(reply.Body)
}

func list(prefix, delimiter string) (keys, prefixes []string) {
	input := &s3.ListObjectsV2Input{Bucket: bucket, Prefix: &prefix}
	if delimiter != "" {
		input.Delimiter = &delimiter
	}
	for pages := s3.NewListObjectsV2Paginator(client, input); pages.HasMorePages(); {
		page := Must(pages.NextPage(ctx))
		for _, entry := range page.Contents {
			keys = append(keys, *entry.Key)
		}
		for _, entry := range page.CommonPrefixes {
			prefixes = append(prefixes, *entry.Prefix)
		}
	}
	return keys, prefixes
}

func code(err error) string {
	var fault smithy.APIError
	if errors.As(err, &fault) {
		return fault.ErrorCode()
	}
	return fmt.Sprint(err)
}

func md5Of(body []byte) string { return fmt.Sprintf("%x", md5.Sum(body)) }

func same(found, expected []byte) { Equal(md5Of(found), md5Of(expected)) }

func send(request *http.Request) ([]byte, int) {
	reply := Must(http.DefaultClient.Do(request))
	defer reply.Body.Close()
	return Must(io.ReadAll(reply.Body)), reply.StatusCode
}

func main() {
	settings := Must(config.LoadDefaultConfig(ctx))
	client = s3.NewFromConfig(settings)

	Doing("create bucket", func() {
		Must(client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}))
		Check(s3.NewBucketExistsWaiter(client).Wait(ctx, &s3.HeadBucketInput{Bucket: bucket}, 10e9))
		region := Must(manager.GetBucketRegion(ctx, client, Bucket))
		Equal(region, settings.Region)
	})
	objects()
	transfers()
	for _, key := range AwkwardKeys {
		awkward(key)
	}
	many()
	presigned()
	checksums()
	virtualHost(settings)
	Finish()
}

func objects() {
	Doing("put small", func() {
		Must(put("small", Small))
		Stored("small", Small)
	})
	Doing("put empty", func() {
		Must(put("empty", nil))
		Must(client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("no body")}))
		Stored("empty", nil)
		Stored("no body", nil)
	})
	Doing("get", func() {
		same(Must(get("small")), Small)
		same(Must(get("empty")), nil)
		_, err := get("missing")
		Equal(code(err), "NoSuchKey")
		_, err = client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("missing")})
		Equal(code(err), "NotFound")
	})
	Doing("get ranged", func() {
		same(Must(get("small", func(i *s3.GetObjectInput) { i.Range = aws.String("bytes=10-19") })), Small[10:20])
		same(Must(get("small", func(i *s3.GetObjectInput) { i.Range = aws.String("bytes=-5") })), Small[1019:])
	})
	Doing("metadata", func() {
		Must(put("meta", []byte("m"), func(i *s3.PutObjectInput) {
			i.Metadata = map[string]string{"one": "1", "two-words": "a b, c"}
			i.ContentType, i.CacheControl = aws.String("text/x"), aws.String("no-cache")
		}))
		found := Must(client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("meta")}))
		Equal(found.Metadata, map[string]string{"one": "1", "two-words": "a b, c"})
		Equal(*found.ContentType+*found.CacheControl, "text/xno-cache")
	})
	Doing("conditional put", func() {
		absent := func(i *s3.PutObjectInput) { i.IfNoneMatch = aws.String("*") }
		first := Must(put("once", []byte("1"), absent))
		_, err := put("once", []byte("x"), absent)
		Equal(code(err), "PreconditionFailed")
		matching := func(i *s3.PutObjectInput) { i.IfMatch = first.ETag }
		Must(put("once", []byte("2"), matching))
		_, err = put("once", []byte("x"), matching)
		Equal(code(err), "PreconditionFailed")
		Stored("once", []byte("2"))
	})
}

func transfers() {
	transfer := transfermanager.New(client)
	upload := func(key string, body io.Reader) *transfermanager.UploadObjectOutput {
		return Must(transfer.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: bucket, Key: &key, Body: body}))
	}
	Doing("put large", func() {
		upload("large", bytes.NewReader(Large))
		found := Must(client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("large")}))
		Equal(strings.HasSuffix(*found.ETag, `-3"`), true)
		Stored("large", Large)
	})
	Doing("put streams", func() {
		upload("large stream", io.LimitReader(bytes.NewReader(Large), int64(len(Large))))
		upload("small stream", io.LimitReader(bytes.NewReader(Small), int64(len(Small))))
		upload("empty stream", io.LimitReader(bytes.NewReader(nil), 0))
		Stored("large stream", Large)
		Stored("small stream", Small)
		Stored("empty stream", nil)
	})
	Doing("get large in parallel", func() {
		for key, body := range map[string][]byte{"large": Large, "small": Small, "empty": {}} {
			path := filepath.Join(os.TempDir(), Bucket+key)
			file := Must(os.Create(path))
			input := &transfermanager.DownloadObjectInput{Bucket: bucket, Key: &key, WriterAt: file}
			Must(transfer.DownloadObject(ctx, input))
			same(Must(os.ReadFile(path)), body)
			Check(os.Remove(path))
			reply := Must(transfer.GetObject(ctx, &transfermanager.GetObjectInput{Bucket: bucket, Key: &key}))
			same(Must(io.ReadAll(reply.Body)), body)
		}
	})
	Doing("sync both ways", func() {
		source, target := Must(os.MkdirTemp("", "up")), Must(os.MkdirTemp("", "down"))
		defer os.RemoveAll(source)
		defer os.RemoveAll(target)
		Check(os.MkdirAll(filepath.Join(source, "sub"), 0o755))
		files := map[string][]byte{"a b.txt": Small, "sub/ü+%41": Large, "sub/empty": nil}
		for name, body := range files {
			Check(os.WriteFile(filepath.Join(source, name), body, 0o644))
		}
		Must(transfer.UploadDirectory(ctx, &transfermanager.UploadDirectoryInput{
			Bucket: bucket, Source: &source, Recursive: aws.Bool(true), KeyPrefix: aws.String("tree"),
		}))
		Must(transfer.DownloadDirectory(ctx, &transfermanager.DownloadDirectoryInput{
			Bucket: bucket, Destination: &target, KeyPrefix: aws.String("tree/"),
		}))
		for name, body := range files {
			same(Must(os.ReadFile(filepath.Join(target, name))), body)
		}
	})
	Doing("the older transfer manager", func() {
		uploader := manager.NewUploader(client)
		body := io.LimitReader(bytes.NewReader(Large), int64(len(Large)))
		Must(uploader.Upload(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("by manager"), Body: body}))
		buffer := manager.NewWriteAtBuffer(nil)
		input := &s3.GetObjectInput{Bucket: bucket, Key: aws.String("by manager")}
		Must(manager.NewDownloader(client).Download(ctx, buffer, input))
		same(buffer.Bytes(), Large)
		Stored("by manager", Large)
	})
	Doing("copy and move", func() {
		copies := [][2]string{{"large", "copy of large"}, {"small stream", "moved"}}
		for _, names := range copies {
			source := Bucket + "/" + url.PathEscape(names[0])
			Must(client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: &names[1], CopySource: &source}))
		}
		Must(client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("no such key")}))
		Stored("copy of large", Large)
		Stored("moved", Small)
	})
}

func awkward(key string) {
	Doing("key "+key, func() {
		Must(put(key, []byte(key)))
		same(Must(get(key)), []byte(key))
		keys, _ := list(key, "")
		Equal(keys, []string{key})
		source, target := Bucket+"/"+url.PathEscape(key), "copies/"+key
		Must(client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: &target, CopySource: &source}))
		Stored(target, []byte(key))
		Must(client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key}))
		keys, _ = list(key, "")
		Equal(len(keys), 0)
	})
}

func many() {
	var all []string
	for n := range 1500 {
		all = append(all, fmt.Sprintf("many/%d/%04d", n/500, n))
	}
	Doing("list 1,500 keys", func() {
		work, failures := make(chan string), make(chan error, len(all))
		var lanes sync.WaitGroup
		for range 16 {
			lanes.Add(1)
			go func() {
				defer lanes.Done()
				for key := range work {
					_, err := put(key, []byte("x"))
					failures <- err
				}
			}()
		}
		for _, key := range all {
			work <- key
		}
		close(work)
		lanes.Wait()
		for range all {
			Check(<-failures)
		}
		keys, _ := list("many/", "")
		Equal(strings.Join(keys, " ") == strings.Join(all, " "), true)
		keys, prefixes := list("many/", "/")
		Equal(len(keys), 0)
		Equal(prefixes, []string{"many/0/", "many/1/", "many/2/"})
	})
	Doing("delete many", func() {
		for _, half := range [][]string{all[:1000], all[1000:]} {
			var entries []types.ObjectIdentifier
			for _, key := range half {
				entries = append(entries, types.ObjectIdentifier{Key: &key})
			}
			input := &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: entries}}
			reply := Must(client.DeleteObjects(ctx, input))
			Equal(len(reply.Deleted), len(half))
			Equal(len(reply.Errors), 0)
		}
		keys, _ := list("many/", "")
		Equal(len(keys), 0)
	})
}

func presigned() {
	signer := s3.NewPresignClient(client)
	Doing("presigned get", func() {
		key := "copies/" + AwkwardKeys[6]
		signed := Must(signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key}))
		body, status := send(Must(http.NewRequest(signed.Method, signed.URL, nil)))
		Equal(status, 200)
		same(body, []byte(AwkwardKeys[6]))
	})
	Doing("presigned put", func() {
		input := &s3.PutObjectInput{Bucket: bucket, Key: aws.String("presigned a+b")}
		signed := Must(signer.PresignPutObject(ctx, input))
		body, status := send(Must(http.NewRequest(signed.Method, signed.URL, bytes.NewReader(Small))))
		Equal(fmt.Sprintf("%d%s", status, body), "200")
		Stored("presigned a+b", Small)
	})
	Doing("presigned put with metadata", func() {
		input := &s3.PutObjectInput{
			Bucket: bucket, Key: aws.String("presigned meta"), Metadata: map[string]string{"one": "1"},
			ContentType: aws.String("text/x"),
		}
		signed := Must(signer.PresignPutObject(ctx, input))
		request := Must(http.NewRequest(signed.Method, signed.URL, bytes.NewReader(Small)))
		request.Header = signed.SignedHeader
		request.ContentLength = int64(len(Small))
		body, status := send(request)
		Equal(fmt.Sprintf("%d%s", status, body), "200")
		found := Must(client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("presigned meta")}))
		Equal(*found.ContentType+found.Metadata["one"], "text/x1")
	})
}

func checksums() {
	// Of the others that S3 knows, this client computes none, and takes the sum from the caller.
	Doing("checksum MD5", func() {
		sum := md5.Sum(Small)
		given := aws.String(base64.StdEncoding.EncodeToString(sum[:]))
		Must(put("sum/MD5", Small, func(i *s3.PutObjectInput) { i.ChecksumMD5 = given }))
		found := Must(client.HeadObject(ctx, &s3.HeadObjectInput{
			Bucket: bucket, Key: aws.String("sum/MD5"), ChecksumMode: types.ChecksumModeEnabled,
		}))
		Equal(*found.ChecksumMD5, *given)
	})
	for _, algorithm := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512"} {
		Doing("checksum "+string(algorithm), func() {
			key := "sum/" + string(algorithm)
			Must(put(key, Small, func(i *s3.PutObjectInput) { i.ChecksumAlgorithm = algorithm }))
			same(Must(get(key)), Small)
			found := Must(client.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{
				Bucket: bucket, Key: &key, ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesChecksum},
			}))
			Equal(found.Checksum != nil, true)
			Stored(key, Small)
		})
	}
}

// Where the endpoint has a name the client puts the bucket before it. That every name below localhost
// is this machine is for the resolver to say (RFC 6761); here the dialer does.
func virtualHost(settings aws.Config) {
	Doing("virtual host", func() {
		at := Must(url.Parse(URL))
		home := awshttp.NewBuildableClient().WithTransportOptions(func(transport *http.Transport) {
			transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, at.Host)
			}
		})
		byName := s3.NewFromConfig(settings, func(options *s3.Options) {
			options.BaseEndpoint = aws.String(at.Scheme + "://localhost:" + at.Port())
			options.HTTPClient = home
		})
		key := "by//name/"
		input := &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(Small)}
		Must(byName.PutObject(ctx, input))
		signed := Must(s3.NewPresignClient(byName).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key}))
		Equal(strings.Contains(signed.URL, "//"+Bucket+".localhost:"), true)
		Stored(key, Small)
	})
}
