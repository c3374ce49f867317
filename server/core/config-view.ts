/** The configuration of the pool as clients may see it: openclaw.json as it was read, without any secret. */
export interface ConfigView {
  /** Name of the file, without its folder: where it lies on the pool's machines is not a client's business. */
  readonly path: string;
  /** False: there is no file, and the pool runs on its defaults. */
  readonly exists: boolean;
  /** Includes resolved, references to variables as written, secrets replaced by `__OPENCLAW_REDACTED__`. */
  readonly document: Readonly<Record<string, unknown>>;
  /** `sha256:<hex>` over `document`: the same for every gateway that has read the same. Not over the secrets. */
  readonly hash: string;
}
