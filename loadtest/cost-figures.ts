import { z } from "zod";

const positive = z.number().min(0);

/** What something takes: bytes of memory (shared pages counted once), cores, bytes of disk. */
const shareSchema = z.strictObject({ memoryBytes: positive, cores: positive, diskBytes: positive });

/** Processes of which more are wanted the more there is to do. */
const growthSchema = z.strictObject({
  /** `gateway`, `worker`. */
  what: z.string(),
  per: z.enum(["online", "active"]),
  /** One is meant for so many. */
  every: z.number().int().min(1),
  /** Those that are part of `base`. */
  included: z.number().int().min(0),
  each: shareSchema,
});

/** A topology as it was measured; each part is what it takes beyond the parts before it. */
const topologySchema = z.strictObject({
  /** What ran, in words. */
  setup: z.string(),
  /** Once, however many users there are. */
  base: shareSchema,
  /** Each user, idle and away. */
  user: shareSchema,
  /** Each user who is connected and idle. */
  online: shareSchema,
  /** Each session whose run streams an answer. */
  active: shareSchema,
  /** Each run: seconds of one core, and what it leaves on disk. */
  run: z.strictObject({ cpuSeconds: positive, diskBytes: positive }),
  growth: z.array(growthSchema),
});

const figuresSchema = z.strictObject({
  version: z.literal(1),
  measuredAt: z.string(),
  machine: z.strictObject({ cpu: z.string(), cores: z.number(), memoryBytes: z.number(), node: z.string() }),
  /** Null: not measured. */
  topologies: z.strictObject({
    v0: topologySchema.nullable(),
    v1: topologySchema.nullable(),
    v2: topologySchema.nullable(),
  }),
});

export type Share = z.infer<typeof shareSchema>;
export type TopologyFigures = z.infer<typeof topologySchema>;
/** What `npm run bench -- cost` has measured and `openclaw-ha cost` reads. */
export type CostFigures = z.infer<typeof figuresSchema>;

/** Below the project's folder. */
export const FIGURES_FILE = "templates/cost/figures.json";

/** @throws Error for what is no such file */
export const parseCostFigures = (text: string): CostFigures => figuresSchema.parse(JSON.parse(text));
