import { randomContract } from "../../ports/contract/random.contract.ts";
import { systemRandom } from "./random.ts";

randomContract("system", () => systemRandom);
