// Package mojaloop runs Mojaloop's own JavaScript for tests: functions of
// sdk-standard-components in a [Worker], whole adapters, and what an adapter
// needs around it.
//
// The packages are pinned by package-lock.json. [Modules] installs them once
// into the user's cache, from the registry that npm is configured for. After
// that nothing here needs the network.
package mojaloop
