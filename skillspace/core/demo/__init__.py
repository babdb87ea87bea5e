"""Sample people and resumes to try SkillSpace with."""
