// What Terraform's AWS provider asks of S3 with its SDK for aws_s3_bucket and aws_s3_object: create, read
// (every configuration that a bucket can have; the provider takes these codes, and no others, for "none"),
// update, destroy with force_destroy.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	. "bleepstore/clients/exercise"
)

var (
	ctx    = context.Background()
	bucket = aws.String(Bucket)
	key    = aws.String("objects/a b+c.txt")
	client *s3.Client
)

func code(err error) string {
	var fault smithy.APIError
	if err == nil {
		return ""
	}
	if errors.As(err, &fault) {
		return fault.ErrorCode()
	}
	return err.Error()
}

func main() {
	client = s3.NewFromConfig(Must(config.LoadDefaultConfig(ctx)))
	Doing("aws_s3_bucket create", func() {
		_, err := client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: bucket})
		Equal(code(err), "NotFound")
		Must(client.CreateBucket(ctx, &s3.CreateBucketInput{
			Bucket: bucket, ACL: types.BucketCannedACLPrivate,
			CreateBucketConfiguration: &types.CreateBucketConfiguration{
				Tags: []types.Tag{{Key: aws.String("Environment"), Value: aws.String("test")}},
			},
		}))
		Check(s3.NewBucketExistsWaiter(client).Wait(ctx, &s3.HeadBucketInput{Bucket: bucket}, time.Minute))
	})
	Doing("aws_s3_bucket read", readBucket)
	Doing("aws_s3_bucket update of tags", func() {
		changed := []types.Tag{{Key: aws.String("Environment"), Value: aws.String("a b+c")}}
		Must(client.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{
			Bucket: bucket, Tagging: &types.Tagging{TagSet: changed},
		}))
		found := Must(client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: bucket}))
		Equal(*found.TagSet[0].Value, "a b+c")
		Must(client.DeleteBucketTagging(ctx, &s3.DeleteBucketTaggingInput{Bucket: bucket}))
		_, err := client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: bucket})
		Equal(code(err), "NoSuchTagSet")
	})
	Doing("aws_s3_object create", func() { putObject([]byte("one")) })
	Doing("aws_s3_object read", func() { readObject([]byte("one")) })
	Doing("aws_s3_object update", func() {
		putObject([]byte("two"))
		tags := []types.Tag{{Key: aws.String("n"), Value: aws.String("2")}}
		Must(client.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
			Bucket: bucket, Key: key, Tagging: &types.Tagging{TagSet: tags},
		}))
		readObject([]byte("two"))
		Stored(*key, []byte("two"))
	})
	Doing("aws_s3_object and aws_s3_objects as data", func() {
		found := Must(client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("objects/")}))
		Equal(*found.Contents[0].Key, *key)
		reply := Must(client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key}))
		Equal(string(Must(io.ReadAll(reply.Body))), "two")
	})
	Doing("aws_s3_object and aws_s3_bucket destroy", func() {
		other := aws.String(Bucket + "-forced")
		Must(client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: other}))
		for n := range 3 {
			name := fmt.Sprintf("left behind %d", n)
			input := &s3.PutObjectInput{Bucket: other, Key: &name, Body: bytes.NewReader(nil)}
			Must(client.PutObject(ctx, input))
		}
		_, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: other})
		Equal(code(err), "BucketNotEmpty")
		// force_destroy deletes every version of every key, an unversioned one by the version "null".
		pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: other})
		for pages.HasMorePages() {
			var found []types.ObjectIdentifier
			page := Must(pages.NextPage(ctx))
			for _, version := range page.Versions {
				found = append(found, types.ObjectIdentifier{Key: version.Key, VersionId: version.VersionId})
			}
			Equal(len(found), 3)
			reply := Must(client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
				Bucket: other, Delete: &types.Delete{Objects: found, Quiet: aws.Bool(true)},
			}))
			Equal(len(reply.Errors), 0)
		}
		Must(client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: other}))
		_, err = client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: other})
		Equal(code(err), "NotFound")
	})
	Finish()
}

// readBucket asks everything that a refresh of aws_s3_bucket asks.
func readBucket() {
	found := func(_ any, err error) { Equal(code(err), "") }
	none := func(expected string) func(any, error) {
		return func(_ any, err error) { Equal(code(err), expected) }
	}
	head := Must(client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: bucket}))
	Equal(*head.BucketRegion, client.Options().Region)
	policy, err := client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: bucket})
	none("NoSuchBucketPolicy")(policy, err)
	acl, err := client.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: bucket})
	found(acl, err)
	Equal(len(acl.Grants), 1)
	cors, err := client.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: bucket})
	none("NoSuchCORSConfiguration")(cors, err)
	website, err := client.GetBucketWebsite(ctx, &s3.GetBucketWebsiteInput{Bucket: bucket})
	none("NoSuchWebsiteConfiguration")(website, err)
	versioning, err := client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: bucket})
	found(versioning, err)
	Equal(string(versioning.Status), "")
	accelerate, err := client.GetBucketAccelerateConfiguration(
		ctx, &s3.GetBucketAccelerateConfigurationInput{Bucket: bucket})
	found(accelerate, err)
	payment, err := client.GetBucketRequestPayment(ctx, &s3.GetBucketRequestPaymentInput{Bucket: bucket})
	found(payment, err)
	Equal(string(payment.Payer), "BucketOwner")
	logging, err := client.GetBucketLogging(ctx, &s3.GetBucketLoggingInput{Bucket: bucket})
	found(logging, err)
	Equal(logging.LoggingEnabled == nil, true)
	lifecycle, err := client.GetBucketLifecycleConfiguration(
		ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: bucket})
	none("NoSuchLifecycleConfiguration")(lifecycle, err)
	replication, err := client.GetBucketReplication(ctx, &s3.GetBucketReplicationInput{Bucket: bucket})
	none("ReplicationConfigurationNotFoundError")(replication, err)
	encryption, err := client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket})
	none("ServerSideEncryptionConfigurationNotFoundError")(encryption, err)
	lock, err := client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: bucket})
	none("ObjectLockConfigurationNotFoundError")(lock, err)
	block, err := client.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: bucket})
	none("NoSuchPublicAccessBlockConfiguration")(block, err)
	notification, err := client.GetBucketNotificationConfiguration(
		ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: bucket})
	found(notification, err)
	tags := Must(client.GetBucketTagging(ctx, &s3.GetBucketTaggingInput{Bucket: bucket}))
	Equal(*tags.TagSet[0].Key+*tags.TagSet[0].Value, "Environmenttest")
}

func putObject(body []byte) {
	uploader := manager.NewUploader(client)
	Must(uploader.Upload(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: key, Body: bytes.NewReader(body), ContentType: aws.String("text/plain"),
		Metadata: map[string]string{"one": "1"}, Tagging: aws.String("n=1&m=a%20b"), ACL: types.ObjectCannedACLPrivate,
	}))
}

func readObject(body []byte) {
	input := &s3.HeadObjectInput{Bucket: bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled}
	found := Must(client.HeadObject(ctx, input))
	Equal(*found.ContentLength, int64(len(body)))
	Equal(found.ChecksumCRC32 != nil, true)
	Equal(found.Metadata["one"]+*found.ContentType, "1text/plain")
	Equal(string(found.StorageClass)+string(found.ServerSideEncryption), "")
	tags := Must(client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: bucket, Key: key}))
	Equal(len(tags.TagSet) > 0, true)
}
