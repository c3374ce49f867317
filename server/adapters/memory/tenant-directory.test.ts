import { tenantDirectoryContract } from "../../ports/contract/tenant-directory.contract.ts";
import { openMemoryStores } from "./stores.fixture.ts";

tenantDirectoryContract("memory", openMemoryStores);
