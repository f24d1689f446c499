"""What any business application needs: database, identity and roles, audit, numbering, jobs."""
