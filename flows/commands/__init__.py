"""The commands of `assay`, one a file, named as the file is."""
