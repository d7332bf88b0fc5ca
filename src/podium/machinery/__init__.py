"""Pure object semantics: metadata, selectors, quantities, schemas, patches, tables, errors. No I/O."""
