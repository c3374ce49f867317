import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { S3Container } from "./store-containers.ts";

/** Makes a bucket on a server that has just been started. */
export async function createBucket(
  { accessKeyId, region, secretAccessKey, url }: S3Container,
  bucket: string,
): Promise<void> {
  const credentials = { accessKeyId, secretAccessKey };
  const client = new S3Client({ endpoint: url, region, forcePathStyle: true, credentials });
  try {
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
  } finally {
    client.destroy();
  }
}
