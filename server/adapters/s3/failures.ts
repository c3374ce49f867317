import { HAError } from "../../core/errors.ts";

/** What the SDK throws, as far as it matters here. */
interface S3Failure {
  readonly name: string;
  readonly message: string;
  /** Node's, for network errors: `ECONNREFUSED`. */
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
}

/** Where a request went, for messages. */
export interface S3Place {
  readonly bucket: string;
  /** `AWS` where no endpoint was given. */
  readonly endpoint: string;
}

/** Refusals that the same request may not meet again. The names are those of S3's error table and its imitations. */
const PASSING = new Set([
  "InternalError",
  "OperationAborted",
  "RequestTimeout",
  "RequestTimeTooSkewed", // the SDK learns the server's time from the refusal
  "ServiceUnavailable",
  "SlowDown",
  "Throttling",
  "ThrottlingException",
  "TooManyRequests",
  "BadDigest", // our own hash was right before it was sent: damaged on the way
  "XAmzContentChecksumMismatch",
  "XAmzContentSHA256Mismatch",
]);

const CREDENTIALS = new Set([
  "AccessDenied",
  "ExpiredToken",
  "InvalidAccessKeyId",
  "InvalidToken",
  "SignatureDoesNotMatch",
  "TokenRefreshRequired",
  "XAdminUserNotFound", // versitygw, with status 404
]);

/** True when the same request may succeed in a moment: the server was not reached, is busy, or broke. */
export function isPassing(error: unknown): boolean {
  const { name, $metadata } = error as S3Failure;
  if (PASSING.has(name)) return true;
  if (name === "CredentialsProviderError") return false;
  const status = $metadata?.httpStatusCode;
  return status === undefined || status >= 500 || status === 429 || status === 408;
}

/** True when the server says that there is no such object; a 404 alone may also mean the bucket or the credentials. */
export const isMissing = (error: unknown): boolean => (error as S3Failure).name === "NoSuchKey";

/** True for the 404 of a HEAD, which has no body that would say what is missing. */
export const isUnexplained404 = (error: unknown): boolean => (error as S3Failure).name === "NotFound";

/**
 * The failure as an operator needs it. The SDK's own error is not kept as the cause: it carries the request with its
 * headers, and for a wrong signature the string that was signed.
 */
export function storeUnavailable(error: unknown, what: string, place: S3Place): HAError {
  if (error instanceof HAError) return error;
  const { name, message, code, $metadata } = error as S3Failure;
  const reason = [code ?? name, message.replace(/\.$/u, "")].filter(Boolean).join(": ");
  const where = `bucket ${place.bucket} of ${place.endpoint}`;
  const details = {
    ...place,
    reason: code ?? name,
    status: $metadata?.httpStatusCode,
    requestId: $metadata?.requestId,
  };
  return new HAError(
    "STORE_UNAVAILABLE",
    `cannot ${what} in ${where}: ${reason}${hint(name, $metadata?.httpStatusCode)}`,
    details,
  );
}

function hint(name: string, status: number | undefined): string {
  if (CREDENTIALS.has(name) || status === 401 || status === 403) {
    return "; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do";
  }
  if (name === "CredentialsProviderError") return "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
  if (name === "NoSuchBucket") return "; create it first";
  if (name === "PermanentRedirect" || name === "AuthorizationHeaderMalformed") return "; check the region";
  return "";
}
