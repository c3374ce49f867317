import type * as S3 from "@aws-sdk/client-s3";

/** How to reach a bucket. */
export interface S3Connection {
  /** URL of a server other than AWS; path-style requests are used then. */
  readonly endpoint?: string;
  readonly bucket: string;
  readonly region: string;
  /** Absent: what the SDK finds by itself (environment, files, the machine's or pod's role). */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /**
   * False for servers from before 2025 that do not know the SDK's checksums (they answer 400 or 501): checksums are
   * then sent only where S3 demands them, and objects are deleted one by one.
   */
  readonly checksums?: boolean;
}

export type Sdk = typeof S3;

export interface S3Session {
  readonly sdk: Sdk;
  readonly client: S3.S3Client;
}

/**
 * Loads the SDK and opens a client. The SDK is loaded on first use only: it costs about 100 ms and 35 MB, which a
 * process that keeps its objects in a directory should not pay.
 */
export async function openSession(connection: S3Connection, connectMs: number): Promise<S3Session> {
  const sdk = await import("@aws-sdk/client-s3");
  const when = connection.checksums === false ? "WHEN_REQUIRED" : "WHEN_SUPPORTED";
  const client = new sdk.S3Client({
    region: connection.region,
    ...(connection.endpoint === undefined ? {} : { endpoint: connection.endpoint, forcePathStyle: true }),
    ...(connection.credentials === undefined ? {} : { credentials: connection.credentials }),
    requestChecksumCalculation: when,
    responseChecksumValidation: when,
    maxAttempts: 1, // attempts.ts
    // The socket's own idle timeout stays off: it would cut a download whose reader is slow.
    requestHandler: { connectionTimeout: connectMs, socketTimeout: 0 },
  });
  return { sdk, client };
}
