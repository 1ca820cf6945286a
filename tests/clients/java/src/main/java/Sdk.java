import static java.util.stream.Collectors.toList;

import java.io.ByteArrayInputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.async.BlockingInputStreamAsyncRequestBody;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.*;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;
import software.amazon.awssdk.transfer.s3.S3TransferManager;
import software.amazon.awssdk.transfer.s3.model.DownloadRequest;
import software.amazon.awssdk.transfer.s3.model.Upload;

/**
 * aws-sdk-java-v2: the client with its defaults, its transfer manager over the SDK's own asynchronous client
 * and over the AWS CRT, the presigner, checksums. With an argument only what needs host names is done.
 */
final class Sdk {
    private static final String BUCKET = Exercise.BUCKET;
    private static final byte[] SMALL = Exercise.SMALL;
    private static final byte[] LARGE = Exercise.LARGE;

    private final S3Client s3 = S3Client.create();

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 0) {
            new Sdk().everything();
        } else {
            virtualHost();
        }
        Exercise.finish();
    }

    private void everything() throws Exception {
        Exercise.doing("create bucket", () -> {
            s3.createBucket(b -> b.bucket(BUCKET));
            s3.waiter().waitUntilBucketExists(b -> b.bucket(BUCKET));
            Exercise.equal(s3.listBuckets().buckets().stream().anyMatch(b -> b.name().equals(BUCKET)), true);
        });
        objects();
        for (String key : Exercise.AWKWARD_KEYS) {
            awkward(key);
        }
        try (S3AsyncClient own = S3AsyncClient.builder().multipartEnabled(true).build()) {
            transfers("", own);
        }
        try (S3AsyncClient crt = S3AsyncClient.crtCreate()) {
            transfers(" by CRT", crt);
        }
        many();
        presigned();
        for (ChecksumAlgorithm algorithm : ChecksumAlgorithm.knownValues()) {
            if (algorithm == ChecksumAlgorithm.MD5) {
                checksumGiven();
            } else {
                checksum(algorithm);
            }
        }
    }

    private byte[] get(String key) {
        return s3.getObjectAsBytes(b -> b.bucket(BUCKET).key(key)).asByteArray();
    }

    private PutObjectResponse put(String key, byte[] body) {
        return s3.putObject(b -> b.bucket(BUCKET).key(key), RequestBody.fromBytes(body));
    }

    private List<String> keys(String prefix) {
        return s3.listObjectsV2Paginator(b -> b.bucket(BUCKET).prefix(prefix)).contents().stream()
                .map(S3Object::key).collect(toList());
    }

    private void objects() {
        Exercise.doing("put small", () -> {
            put("small", SMALL);
            Exercise.stored("small", SMALL);
        });
        Exercise.doing("put empty", () -> {
            s3.putObject(b -> b.bucket(BUCKET).key("empty"), RequestBody.empty());
            Exercise.stored("empty", new byte[0]);
        });
        Exercise.doing("put stream", () -> {
            RequestBody body = RequestBody.fromInputStream(new ByteArrayInputStream(LARGE), LARGE.length);
            s3.putObject(b -> b.bucket(BUCKET).key("stream"), body);
            Exercise.stored("stream", LARGE);
        });
        Exercise.doing("get", () -> {
            Exercise.same(get("small"), SMALL);
            Exercise.same(get("empty"), new byte[0]);
            Exercise.same(get("stream"), LARGE);
            Exercise.refused(NoSuchKeyException.class, () -> get("missing"));
            Exercise.refused(NoSuchKeyException.class, () -> s3.headObject(b -> b.bucket(BUCKET).key("missing")));
        });
        Exercise.doing("get ranged", () -> {
            byte[] found = s3.getObjectAsBytes(b -> b.bucket(BUCKET).key("small").range("bytes=10-19")).asByteArray();
            Exercise.same(found, Arrays.copyOfRange(SMALL, 10, 20));
        });
        Exercise.doing("metadata", () -> {
            Map<String, String> given = Map.of("one", "1", "two-words", "a b, c");
            s3.putObject(
                    b -> b.bucket(BUCKET).key("meta").metadata(given).contentType("text/x").cacheControl("no-cache"),
                    RequestBody.fromString("m"));
            HeadObjectResponse found = s3.headObject(b -> b.bucket(BUCKET).key("meta"));
            Exercise.equal(found.metadata(), given);
            Exercise.equal(found.contentType() + found.cacheControl(), "text/xno-cache");
        });
        Exercise.doing("conditional put", () -> {
            RequestBody one = RequestBody.fromString("1");
            String tag = s3.putObject(b -> b.bucket(BUCKET).key("once").ifNoneMatch("*"), one).eTag();
            S3Exception fault = Exercise.refused(S3Exception.class,
                    () -> s3.putObject(b -> b.bucket(BUCKET).key("once").ifNoneMatch("*"), one));
            Exercise.equal(fault.awsErrorDetails().errorCode(), "PreconditionFailed");
            s3.putObject(b -> b.bucket(BUCKET).key("once").ifMatch(tag), RequestBody.fromString("2"));
            fault = Exercise.refused(S3Exception.class,
                    () -> s3.putObject(b -> b.bucket(BUCKET).key("once").ifMatch(tag), one));
            Exercise.equal(fault.statusCode(), 412);
            Exercise.stored("once", "2".getBytes());
        });
    }

    private void awkward(String key) {
        Exercise.doing("key " + key, () -> {
            byte[] body = key.getBytes("UTF-8");
            put(key, body);
            Exercise.same(get(key), body);
            Exercise.equal(keys(key), List.of(key));
            s3.copyObject(b -> b.sourceBucket(BUCKET).sourceKey(key)
                    .destinationBucket(BUCKET).destinationKey("copies/" + key));
            Exercise.stored("copies/" + key, body);
            s3.deleteObject(b -> b.bucket(BUCKET).key(key));
            Exercise.equal(keys(key), List.of());
        });
    }

    /** What the transfer manager does over one client. */
    private void transfers(String by, S3AsyncClient client) throws Exception {
        Path folder = Files.createTempDirectory("transfers");
        Path large = Exercise.file(folder, "large", LARGE);
        try (S3TransferManager transfer = S3TransferManager.builder().s3Client(client).build()) {
            Exercise.doing("put large" + by, () -> {
                transfer.uploadFile(b -> b.source(large).putObjectRequest(p -> p.bucket(BUCKET).key("large" + by)))
                        .completionFuture().join();
                String tag = s3.headObject(b -> b.bucket(BUCKET).key("large" + by)).eTag();
                Exercise.equal(tag.endsWith("-3\""), true);
                Exercise.stored("large" + by, LARGE);
            });
            Exercise.doing("put large stream" + by, () -> {
                BlockingInputStreamAsyncRequestBody body = AsyncRequestBody.forBlockingInputStream(null);
                Upload upload = transfer.upload(
                        b -> b.requestBody(body).putObjectRequest(p -> p.bucket(BUCKET).key("stream" + by)));
                body.writeInputStream(new ByteArrayInputStream(LARGE));
                upload.completionFuture().join();
                Exercise.stored("stream" + by, LARGE);
            });
            Exercise.doing("put and get empty" + by, () -> {
                Path empty = Exercise.file(folder, "empty", new byte[0]);
                transfer.uploadFile(b -> b.source(empty).putObjectRequest(p -> p.bucket(BUCKET).key("empty" + by)))
                        .completionFuture().join();
                Path target = folder.resolve("empty again");
                transfer.downloadFile(b -> b.destination(target).getObjectRequest(g -> g.bucket(BUCKET).key("empty" + by)))
                        .completionFuture().join();
                Exercise.same(Files.readAllBytes(target), new byte[0]);
            });
            Exercise.doing("get large" + by, () -> {
                Path target = folder.resolve("large again");
                transfer.downloadFile(b -> b.destination(target).getObjectRequest(g -> g.bucket(BUCKET).key("large" + by)))
                        .completionFuture().join();
                Exercise.same(Files.readAllBytes(target), LARGE);
                byte[] inMemory = transfer.download(DownloadRequest.builder()
                                .getObjectRequest(g -> g.bucket(BUCKET).key("large" + by))
                                .responseTransformer(AsyncResponseTransformer.toBytes()).build())
                        .completionFuture().join().result().asByteArray();
                Exercise.same(inMemory, LARGE);
            });
            Exercise.doing("copy and move" + by, () -> {
                transfer.copy(b -> b.copyObjectRequest(c -> c.sourceBucket(BUCKET).sourceKey("large" + by)
                        .destinationBucket(BUCKET).destinationKey("moved" + by))).completionFuture().join();
                s3.deleteObject(b -> b.bucket(BUCKET).key("stream" + by));
                s3.copyObject(b -> b.sourceBucket(BUCKET).sourceKey("moved" + by)
                        .destinationBucket(BUCKET).destinationKey("stream" + by));
                Exercise.stored("moved" + by, LARGE);
            });
            Exercise.doing("sync both ways" + by, () -> {
                Path up = folder.resolve("up");
                Path down = Files.createDirectories(folder.resolve("down"));
                Map<String, byte[]> files = Map.of("a b.txt", SMALL, "sub/u+%41", LARGE, "sub/empty", new byte[0]);
                for (Map.Entry<String, byte[]> file : files.entrySet()) {
                    Exercise.file(up, file.getKey(), file.getValue());
                }
                String prefix = "tree" + by;
                Exercise.equal(transfer.uploadDirectory(b -> b.source(up).bucket(BUCKET).s3Prefix(prefix))
                        .completionFuture().join().failedTransfers(), List.of());
                Exercise.equal(transfer.downloadDirectory(b -> b.destination(down).bucket(BUCKET)
                                .listObjectsV2RequestTransformer(l -> l.prefix(prefix)))
                        .completionFuture().join().failedTransfers(), List.of());
                for (Map.Entry<String, byte[]> file : files.entrySet()) {
                    Exercise.same(Files.readAllBytes(down.resolve(file.getKey())), file.getValue());
                }
            });
        }
    }

    private void many() throws Exception {
        List<String> all = new ArrayList<>();
        for (int n = 0; n < 1500; n++) {
            all.add(String.format("many/%d/%04d", n / 500, n));
        }
        Exercise.doing("list 1,500 keys", () -> {
            ExecutorService lanes = Executors.newFixedThreadPool(16);
            List<Future<PutObjectResponse>> waiting = new ArrayList<>();
            for (String key : all) {
                waiting.add(lanes.submit(() -> put(key, new byte[] {1})));
            }
            for (Future<PutObjectResponse> one : waiting) {
                one.get();
            }
            lanes.shutdown();
            Exercise.equal(keys("many/"), all);
            List<String> folders = s3.listObjectsV2Paginator(b -> b.bucket(BUCKET).prefix("many/").delimiter("/"))
                    .commonPrefixes().stream().map(CommonPrefix::prefix).collect(toList());
            Exercise.equal(folders, List.of("many/0/", "many/1/", "many/2/"));
        });
        Exercise.doing("delete many", () -> {
            for (List<String> half : List.of(all.subList(0, 1000), all.subList(1000, 1500))) {
                List<ObjectIdentifier> entries =
                        half.stream().map(key -> ObjectIdentifier.builder().key(key).build()).collect(toList());
                DeleteObjectsResponse reply = s3.deleteObjects(b -> b.bucket(BUCKET).delete(d -> d.objects(entries)));
                Exercise.equal(reply.deleted().size() + reply.errors().size() * 10000, half.size());
            }
            Exercise.equal(keys("many/"), List.of());
        });
    }

    private static byte[] send(URL url, String method, Map<String, List<String>> headers, byte[] body) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) url.openConnection();
        connection.setRequestMethod(method);
        headers.forEach((name, values) -> {
            if (!name.equalsIgnoreCase("host")) {
                connection.setRequestProperty(name, values.get(0));
            }
        });
        if (body != null) {
            connection.setDoOutput(true);
            connection.getOutputStream().write(body);
        }
        Exercise.equal(connection.getResponseCode(), 200);
        return connection.getInputStream().readAllBytes();
    }

    private void presigned() {
        try (S3Presigner signer = S3Presigner.builder().endpointOverride(URI.create(Exercise.URL)).build()) {
            Exercise.doing("presigned get", () -> {
                String key = "copies/" + Exercise.AWKWARD_KEYS.get(6);
                var signed = signer.presignGetObject(b -> b.signatureDuration(Duration.ofMinutes(1))
                        .getObjectRequest(g -> g.bucket(BUCKET).key(key)));
                byte[] found = send(signed.url(), "GET", signed.signedHeaders(), null);
                Exercise.same(found, Exercise.AWKWARD_KEYS.get(6).getBytes("UTF-8"));
            });
            Exercise.doing("presigned put", () -> {
                var signed = signer.presignPutObject(b -> b.signatureDuration(Duration.ofMinutes(1))
                        .putObjectRequest(p -> p.bucket(BUCKET).key("presigned a+b").metadata(Map.of("one", "1"))));
                send(signed.url(), "PUT", signed.signedHeaders(), SMALL);
                Exercise.stored("presigned a+b", SMALL);
                Exercise.equal(s3.headObject(b -> b.bucket(BUCKET).key("presigned a+b")).metadata(), Map.of("one", "1"));
            });
        }
    }

    private void checksum(ChecksumAlgorithm algorithm) {
        Exercise.doing("checksum " + algorithm, () -> {
            String key = "sum/" + algorithm;
            s3.putObject(b -> b.bucket(BUCKET).key(key).checksumAlgorithm(algorithm), RequestBody.fromBytes(SMALL));
            byte[] longer = Arrays.copyOf(LARGE, 1_000_001);
            RequestBody body = RequestBody.fromInputStream(new ByteArrayInputStream(longer), longer.length);
            s3.putObject(b -> b.bucket(BUCKET).key(key + "/stream").checksumAlgorithm(algorithm), body);
            for (String name : List.of(key, key + "/stream")) {
                Exercise.same(get(name), name.equals(key) ? SMALL : longer);
                HeadObjectResponse found =
                        s3.headObject(b -> b.bucket(BUCKET).key(name).checksumMode(ChecksumMode.ENABLED));
                String header = "x-amz-checksum-" + algorithm.toString().toLowerCase().replace("_", "");
                Exercise.equal(found.sdkHttpResponse().firstMatchingHeader(header).isPresent(), true);
                Exercise.stored(name, name.equals(key) ? SMALL : longer);
            }
        });
    }

    /** The client does not compute MD5, it takes one. */
    private void checksumGiven() {
        Exercise.doing("checksum MD5", () -> {
            String sum = Base64.getEncoder().encodeToString(MessageDigest.getInstance("MD5").digest(SMALL));
            s3.putObject(b -> b.bucket(BUCKET).key("sum/MD5").checksumMD5(sum), RequestBody.fromBytes(SMALL));
            HeadObjectResponse found =
                    s3.headObject(b -> b.bucket(BUCKET).key("sum/MD5").checksumMode(ChecksumMode.ENABLED));
            Exercise.equal(found.checksumMD5(), sum);
            Exercise.same(get("sum/MD5"), SMALL);
        });
    }

    /** Where the endpoint has a name the client puts the bucket before it. */
    private static void virtualHost() {
        URI endpoint = URI.create(Exercise.URL.replace("127.0.0.1", "localhost"));
        try (S3Client byName = S3Client.builder().endpointOverride(endpoint).build();
                S3Presigner signer = S3Presigner.builder().endpointOverride(endpoint).build()) {
            Exercise.doing("virtual host", () -> {
                String key = "by//name/";
                byName.putObject(b -> b.bucket(BUCKET).key(key), RequestBody.fromBytes(SMALL));
                Exercise.stored(key, SMALL);
                var signed = signer.presignGetObject(b -> b.signatureDuration(Duration.ofMinutes(1))
                        .getObjectRequest(g -> g.bucket(BUCKET).key(key)));
                Exercise.equal(signed.url().getHost(), BUCKET + ".localhost");
                Exercise.same(send(signed.url(), "GET", signed.signedHeaders(), null), SMALL);
            });
        }
    }
}
